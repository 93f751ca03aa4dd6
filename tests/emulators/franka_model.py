"""Writes the MJCF that franka-sim needs offline, from the URDF of its own package.

  python franka_model.py <file.xml>          (in the emulator's environment)

Meshes are stripped. Armature and damping are added, as the real joints have them: without them the
idle arm drifts and every motion ends in `joint_velocity_violation`.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import franka_sim
import mujoco

ARMATURE = (0.195, 0.195, 0.195, 0.195, 0.074, 0.074, 0.074)
"""kg m², reflected inertia of each motor."""
DAMPING = 1.0
"""Nms/rad."""


def fr3_mjcf() -> str:
    """The FR3 without meshes, as MJCF."""
    tree = ET.parse(Path(franka_sim.__file__).parent / "models" / "fr3.urdf")
    root = tree.getroot()
    for link in root.iter("link"):
        for kind in ("visual", "collision"):
            for shape in link.findall(kind):
                link.remove(shape)
    spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding="unicode"))
    spec.compiler.fusestatic = False
    # The emulator takes the body "link7" for the flange, which on the arm is link8.
    for old, new in (("link7", "last_link"), ("link8", "link7")):
        next(body for body in spec.bodies if body.name == old).name = new
    hinges = [joint for joint in spec.joints if joint.type == mujoco.mjtJoint.mjJNT_HINGE]
    for joint, armature in zip(hinges, ARMATURE, strict=True):
        joint.armature = armature
        joint.damping = DAMPING
    spec.compile()
    return spec.to_xml()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(fr3_mjcf())
