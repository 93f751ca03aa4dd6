"""What a robot around a robot passes on unchanged."""

from __future__ import annotations

from collections.abc import Mapping

from robot_rl.interfaces import Capability, Clock, Kinematics, Robot
from robot_rl.types import Array


class RobotLayer:
    """The properties of the inner robot, for a `Robot` that wraps it."""

    def __init__(self, inner: Robot) -> None:
        self._inner = inner

    @property
    def n_arms(self) -> int:
        return self._inner.n_arms

    @property
    def capabilities(self) -> Capability:
        return self._inner.capabilities

    @property
    def clock(self) -> Clock:
        return self._inner.clock

    @property
    def base_poses(self) -> Array:
        return self._inner.base_poses

    @property
    def gripper_range(self) -> tuple[Array, Array]:
        return self._inner.gripper_range

    @property
    def kinematics(self) -> Kinematics | None:
        return self._inner.kinematics

    @property
    def gains(self) -> Mapping[str, float]:
        return self._inner.gains
