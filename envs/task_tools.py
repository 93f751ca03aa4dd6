"""Small pieces that several tasks share: frames, symmetric headings, sampling."""

from __future__ import annotations

import math

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.geometry import GRIPPER_DOWN, matrix_from_quat, quat_from_yaw, quat_multiply
from robot_rl.types import Array, RobotState

Range = tuple[float, float]


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
