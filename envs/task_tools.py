"""Small pieces that several tasks share: frames, symmetric headings, sampling, shapes."""

from __future__ import annotations

import math

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.geometry import GRIPPER_DOWN, matrix_from_quat, quat_from_yaw, quat_multiply
from robot_rl.types import Array, RobotState

Range = tuple[float, float]
STEEL = (
    'friction="0.3 0.005 0.0001" condim="3" priority="2" margin="0.0003"'
    ' solref="0.004 1" solimp="0.5 0.99 0.0003"'
)
"""Contacts of a hard, smooth part, all by its own parameters (priority). They push from 0.3 mm
before they touch, soft at first, so that neither a blow at full speed nor 20 N make it sink in.
Stiffer ones chatter at 1 ms steps: a blow then trips the force watch."""


def pose_down(position: Array, yaw: float) -> Array:
    """(7,): end effector pointing down at `position` m, its x axis at heading `yaw` rad."""
    return np.concatenate([position, quat_multiply(quat_from_yaw(yaw), GRIPPER_DOWN)])


def heading(quat: Array) -> float:
    """Heading of the x axis in the plane, rad; as `geometry.yaw_of` but for one quaternion."""
    w, x, y, z = quat.tolist()
    return math.atan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))


def nearest_heading(yaw: float, period: float, reference: float = 0.0) -> float:
    """The heading equal to `yaw` modulo `period` that is nearest to `reference`, rad."""
    return reference + math.remainder(yaw - reference, period)


def in_tcp(state: RobotState, point: Array) -> Array:
    """A point (3,) of the base frame seen from the first arm's end effector, along its axes, m."""
    pose = state.pose[0]
    seen: Array = matrix_from_quat(pose[3:]).T @ (point - pose[:3])
    return seen


def uniform(rng: np.random.Generator, *ranges: Range) -> Array:
    """One number of each range."""
    low, high = np.array(ranges, np.float64).T
    return rng.uniform(low, high)


def square_ring(
    name: str, inner: float, outer: float, height: float, attributes: str, base: float = 0.0
) -> str:
    """MJCF of four walls around a square of half edge `inner` m, from `base` up by `height` m."""
    middle, thick = (outer + inner) / 2, (outer - inner) / 2
    walls = [
        ("front", f"{middle} 0", f"{thick} {outer}"),
        ("back", f"{-middle} 0", f"{thick} {outer}"),
        ("left", f"0 {middle}", f"{inner} {thick}"),
        ("right", f"0 {-middle}", f"{inner} {thick}"),
    ]
    return "".join(
        f'<geom name="{name}_{side}" type="box" pos="{at} {base + height / 2}"'
        f' size="{size} {height / 2}" {attributes}/>'
        for side, at, size in walls
    )


def check_ranges(task: str, **ranges: Range) -> None:
    """ConfigError naming the first range whose low is above its high, or that is not finite."""
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ConfigError(f"{task}: {name}=[{low}, {high}]; valid: [low, high], finite")


def check_steps(task: str, max_steps: int) -> int:
    """`max_steps` if it is 1 or more, else ConfigError."""
    if max_steps < 1:
        raise ConfigError(f"{task}: max_steps={max_steps}; valid: 1 or more")
    return max_steps
