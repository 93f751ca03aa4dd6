"""How fast a sequence of poses moves: the judge of emitted setpoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.geometry import quat_conjugate, quat_multiply, rotvec_from_quat
from robot_rl.limits import Limits
from robot_rl.types import Array


@dataclass(frozen=True, slots=True)
class Motion:
    """Largest magnitudes in a sequence of poses, by finite differences."""

    velocity: float
    acceleration: float
    jerk: float
    angular_velocity: float
    angular_acceleration: float
    angular_jerk: float


def motion_of(poses: Array, dt: float) -> Motion:
    """poses (n, 7), n >= 4, one each `dt` seconds; m, rad and s."""
    linear = np.diff(poses[:, :3], axis=0) / dt
    turns = quat_multiply(poses[1:, 3:], quat_conjugate(poses[:-1, 3:]))
    angular = rotvec_from_quat(turns) / dt
    figures = []
    for rates in (linear, angular):
        for order in range(3):
            change = np.diff(rates, order, axis=0) / dt**order
            figures.append(float(np.linalg.norm(change, axis=1).max()))
    return Motion(*figures)


def violations(poses: Array, dt: float, limits: Limits, tolerance: float = 1e-6) -> list[str]:
    """Readable lines, one for each limit that the poses (n, 7) break; empty when none is.

    `tolerance` is relative for rates, and in m and rad for the workspace.
    """
    motion, lines = motion_of(poses, dt), []
    for name in Motion.__dataclass_fields__:
        reached, most = float(getattr(motion, name)), float(getattr(limits, name))
        if not reached <= most * (1.0 + tolerance):
            lines.append(f"{name} {reached:.4g} exceeds {most:.4g}")
    low, high = np.asarray(limits.workspace_low), np.asarray(limits.workspace_high)
    outside = float(np.maximum(low - poses[:, :3], poses[:, :3] - high).max())
    if not outside <= tolerance:
        lines.append(f"{1e3 * outside:.3g} mm outside the workspace {low} … {high}")
    turns = quat_multiply(poses[:, 3:], quat_conjugate(np.asarray(limits.orientation)))
    angle = float(np.linalg.norm(rotvec_from_quat(turns), axis=1).max())
    if not angle <= limits.max_rotation + tolerance:
        lines.append(f"turned {angle:.4g} rad off the centre, at most {limits.max_rotation:.4g}")
    return lines
