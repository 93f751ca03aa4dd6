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
    lines = _too_fast(poses, dt, limits, tuple(Motion.__dataclass_fields__), tolerance)
    return lines + _outside(poses, limits, tolerance)


def joint_violations(
    q: Array, poses: Array, dt: float, limits: Limits, tolerance: float = 1e-6
) -> list[str]:
    """The same for setpoints in joint space: q (n, j), and the poses (n, 7) of the tool at them.

    Each joint keeps its range, speed, acceleration and jerk; the tool its box, orientation and
    speeds.
    """
    lines = []
    for order, name in enumerate(("joint_speed", "joint_acceleration", "joint_jerk"), start=1):
        reached = np.abs(np.diff(q, order, axis=0)).max(axis=0) / dt**order
        for joint, (rate, most) in enumerate(zip(reached, getattr(limits, name), strict=True)):
            if not rate <= most * (1.0 + tolerance):
                lines.append(f"joint {joint + 1}: {name} {rate:.4g} exceeds {most:.4g}")
    over = np.maximum(np.array(limits.joint_low) - q, q - np.array(limits.joint_high)).max(axis=0)
    lines += [
        f"joint {joint + 1} is {away:.3g} rad beyond its range"
        for joint, away in enumerate(over)
        if not away <= tolerance
    ]
    lines += _too_fast(poses, dt, limits, ("velocity", "angular_velocity"), tolerance)
    return lines + _outside(poses, limits, tolerance)


def stopping_room(poses: Array, dt: float, limits: Limits) -> float:
    """The least way, m, that is left to a wall where the setpoint of any of the poses (n, 7) ends
    if it brakes straight ahead from there; negative when one would leave the workspace."""
    low, high = np.asarray(limits.workspace_low), np.asarray(limits.workspace_high)
    step = min(limits.acceleration, limits.jerk * dt / 2) * dt
    velocity = np.diff(poses[:, :3], axis=0) / dt
    ends, speed = poses[1:, :3].copy(), np.linalg.norm(velocity, axis=1)
    heading = velocity / np.maximum(speed, 1e-12)[:, None]
    while (speed := np.maximum(speed - step, 0.0)).any():
        ends += dt * speed[:, None] * heading
    return float(np.minimum(ends - low, high - ends).min())


def _too_fast(
    poses: Array, dt: float, limits: Limits, names: tuple[str, ...], tolerance: float
) -> list[str]:
    motion, lines = motion_of(poses, dt), []
    for name in names:
        reached, most = float(getattr(motion, name)), float(getattr(limits, name))
        if not reached <= most * (1.0 + tolerance):
            lines.append(f"{name} {reached:.4g} exceeds {most:.4g}")
    return lines


def _outside(poses: Array, limits: Limits, tolerance: float) -> list[str]:
    lines = []
    low, high = np.asarray(limits.workspace_low), np.asarray(limits.workspace_high)
    outside = float(np.maximum(low - poses[:, :3], poses[:, :3] - high).max())
    if not outside <= tolerance:
        lines.append(f"{1e3 * outside:.3g} mm outside the workspace {low} … {high}")
    turns = quat_multiply(poses[:, 3:], quat_conjugate(np.asarray(limits.orientation)))
    angle = float(np.linalg.norm(rotvec_from_quat(turns), axis=1).max())
    if not angle <= limits.max_rotation + tolerance:
        lines.append(f"turned {angle:.4g} rad off the centre, at most {limits.max_rotation:.4g}")
    return lines
