"""The arm's MJCF joined with a task's scene, compiled with the controller's gains."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from importlib import resources

from robot_rl.drivers.limits import FR3, RobotTable
from robot_rl.errors import ConfigError, SpecError
from robot_rl.types import Scene

# MuJoCo chooses its rendering backend at import; "egl" without its library fails right there.
if sys.platform == "linux" and find_library("EGL"):
    os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco

AXES = ("x", "y", "z")
ARM_JOINTS = tuple(f"fr3_joint{i}" for i in range(1, 8))
SPRINGS = tuple(f"joint_spring{i}" for i in range(1, 8))
DAMPERS = tuple(f"joint_damper{i}" for i in range(1, 8))
FINGERS = ("finger_left", "finger_right")
FINGER_TIME = 0.0025
"""Time in which a finger gains its speed, s: reflected inertia / damping, stable at 1 ms steps."""


@dataclass(frozen=True, slots=True)
class _GripperGains:
    gripper_stiffness: float = 16000.0
    """N/m of width, within gripper_force."""
    gripper_force: float = 40.0
    """Largest closing force of each finger, N."""
    gripper_speed: float = 0.1
    """Speed of the width at full force, m/s; the vendor's hand: 50 mm/s a finger."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0.0 <= value < 1e6 or (value == 0.0 and name != "posture_stiffness"):
                raise ConfigError(f"gain {name} = {value}; valid: positive and below 1e6")

    def mapping(self) -> Mapping[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Gains(_GripperGains):
    """Cartesian impedance and gripper gains. Defaults: SERL's (2401.16013), rotation in rad.

    SERL clips the quaternion's vector part (half the angle): its 150 Nm with clip .05 is
    75 Nm/rad with .1 rad here.
    """

    translational_stiffness: float = 2000.0
    """N/m."""
    translational_damping: float = 89.0
    """Ns/m."""
    translational_clip: float = 0.01
    """Largest position error per base axis that the springs answer, m: force <= K x clip."""
    rotational_stiffness: float = 75.0
    """Nm/rad."""
    rotational_damping: float = 7.0
    """Nms/rad."""
    rotational_clip: float = 0.1
    """rad per axis."""
    posture_stiffness: float = 10.0
    """Nm/rad on joint 3 towards 0: holds the elbow; no bias at the end effector when at rest."""


STIFFNESS = (1.0, 1.0, 1.0, 1.0, 0.42, 0.25, 0.083)
"""Of each joint, as a share of `joint_stiffness`: the vendor's example has 600 … 50 Nm/rad."""
DAMPING = (1.0, 1.0, 1.0, 1.0, 0.4, 0.24, 0.1)


@dataclass(frozen=True, slots=True)
class JointGains(_GripperGains):
    """Joint impedance: torque = K clip(q_d - q) + D (dq_d - dq), gravity compensated."""

    joint_stiffness: float = 600.0
    """Nm/rad of the first four joints; STIFFNESS gives the others."""
    joint_damping: float = 50.0
    """Nms/rad of the first four joints; DAMPING gives the others."""
    joint_clip: float = 0.1
    """Largest joint error that the springs answer, rad."""


def compile_model(
    scene: Scene, gains: Gains | JointGains, table: RobotTable = FR3
) -> mujoco.MjModel:
    """Compiles the arm, with the table's joint ranges, the scene and the gains.

    Raises SpecError with MuJoCo's or the parser's message when the scene's MJCF is not valid.
    """
    root = ElementTree.fromstring(
        resources.files("robot_rl.drivers.mujoco").joinpath("fr3.xml").read_text("utf-8")
    )
    _set_gains(root, gains)
    for name, low, high in zip(ARM_JOINTS, table.joint_low, table.joint_high, strict=True):
        _find(root, f".//joint[@name='{name}']").set("range", f"{low} {high}")
    try:
        for tag, text in (("worldbody", scene.mjcf), ("asset", scene.assets)):
            _section(root, tag).extend(ElementTree.fromstring(f"<{tag}>{text}</{tag}>"))
        root.extend(ElementTree.fromstring(f"<mujoco>{scene.extras}</mujoco>"))
        _hold(root, ElementTree.fromstring(f"<frame>{scene.held}</frame>"))
        return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    except (ElementTree.ParseError, ValueError) as error:
        raise SpecError(f"the scene's MJCF does not compile: {error}") from error


def _section(root: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = root.find(tag)
    return found if found is not None else ElementTree.SubElement(root, tag)


def _hold(root: ElementTree.Element, held: ElementTree.Element) -> None:
    """Fixes bodies to the hand at its tool centre point; the fingers pass through them."""
    hand, site = root.find(".//site[@name='tcp']/.."), root.find(".//site[@name='tcp']")
    if hand is None or site is None:
        raise SpecError("the arm's MJCF has no site 'tcp'")
    held.set("pos", site.get("pos", "0 0 0"))
    hand.append(held)
    contact = _section(root, "contact")
    for body in held.iter("body"):
        for finger in FINGERS:
            pair = {"body1": body.get("name", ""), "body2": finger}
            ElementTree.SubElement(contact, "exclude", pair)


def _set_gains(root: ElementTree.Element, gains: Gains | JointGains) -> None:
    if isinstance(gains, JointGains):
        _set_joint_gains(root, gains)
    else:
        _set_cartesian_gains(root, gains)
    gripper = _actuator(root, "gripper")
    gripper.set("gainprm", f"{gains.gripper_stiffness}")
    gripper.set("biasprm", f"0 {-gains.gripper_stiffness} 0")
    gripper.set("forcerange", f"{-gains.gripper_force} {gains.gripper_force}")
    damping = 2.0 * gains.gripper_force / gains.gripper_speed
    for name in FINGERS:
        finger = _find(root, f".//joint[@name='{name}']")
        finger.set("damping", f"{damping}")
        finger.set("armature", f"{damping * FINGER_TIME}")


def _set_cartesian_gains(root: ElementTree.Element, gains: Gains) -> None:
    """Springs: force = -K x error within K x clip. Dampers: force = -D x velocity, not limited."""
    for kind, stiffness, damping, clip in (
        ("", gains.translational_stiffness, gains.translational_damping, gains.translational_clip),
        ("r", gains.rotational_stiffness, gains.rotational_damping, gains.rotational_clip),
    ):
        for axis in AXES:
            spring = _actuator(root, f"spring_{kind}{axis}")
            spring.set("biasprm", f"0 {-stiffness} 0")
            spring.set("forcerange", f"{-stiffness * clip} {stiffness * clip}")
            _actuator(root, f"damper_{kind}{axis}").set("biasprm", f"0 0 {-damping}")
    elbow = _find(root, f".//joint[@name='{ARM_JOINTS[2]}']")
    elbow.set("stiffness", f"{gains.posture_stiffness}")


def _set_joint_gains(root: ElementTree.Element, gains: JointGains) -> None:
    """A spring and a damper on each joint in place of the Cartesian ones."""
    actuators = _section(root, "actuator")
    for kind in ("spring", "damper"):
        for axis in AXES:
            actuators.remove(_actuator(root, f"{kind}_{axis}"))
            actuators.remove(_actuator(root, f"{kind}_r{axis}"))
    _find(root, f".//joint[@name='{ARM_JOINTS[2]}']").set("stiffness", "0")
    for i, joint in enumerate(ARM_JOINTS):
        stiffness, damping = gains.joint_stiffness * STIFFNESS[i], gains.joint_damping * DAMPING[i]
        most = stiffness * gains.joint_clip
        for name, gain, bias, bound in (
            (SPRINGS[i], stiffness, f"0 {-stiffness} 0", f"{-most} {most}"),
            (DAMPERS[i], damping, f"0 0 {-damping}", ""),
        ):
            actuator = ElementTree.SubElement(actuators, "general", name=name, joint=joint)
            actuator.set("gainprm", f"{gain}")
            actuator.set("biastype", "affine")
            actuator.set("biasprm", bias)
            if bound:
                actuator.set("forcerange", bound)


def _actuator(root: ElementTree.Element, name: str) -> ElementTree.Element:
    return _find(root, f"actuator/general[@name='{name}']")


def _find(root: ElementTree.Element, path: str) -> ElementTree.Element:
    found = root.find(path)
    if found is None:
        raise SpecError(f"the arm's MJCF has no {path}")
    return found
