"""Absolute poses as actions: each number names a place in a box, an orientation, a width.

    position = centre + half · action[:3],   quat = exp(rotation_range · action[3:6]) ⊗ orientation

(base frame). Nothing limits how far one action may be from the last: the safety layer's limits do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.envs.actions import (
    AXES,
    action_rows,
    arm_names,
    arm_scales,
    cartesian,
    pose_layout,
    pose_vector,
)
from robot_rl.envs.gripper_modes import GripperMode
from robot_rl.errors import ConfigError
from robot_rl.geometry import (
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_normalise,
    rotvec_from_quat,
)
from robot_rl.interfaces import Robot
from robot_rl.types import Array, CartesianCommand, Command, RobotState


@dataclass(frozen=True, slots=True)
class PoseConfig:
    """Raises ConfigError on a value that is not valid."""

    low: tuple[float, float, float] = (0.28, -0.3, 0.01)
    """Position of an action of -1, m, base frame of each arm."""
    high: tuple[float, float, float] = (0.7, 0.3, 0.55)
    orientation: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)
    """Quaternion (w, x, y, z) of an action of 0."""
    rotation_range: float = 0.9
    """rad for an action of 1 about each axis of the base; √3 times it must stay below pi."""
    gripper_mode: str = "absolute"
    gripper_scale: float = 0.02
    """See `GripperMode`."""

    def __post_init__(self) -> None:
        GripperMode(self.gripper_mode, self.gripper_scale)
        if not (np.array(self.low) < self.high).all():
            raise ConfigError(f"action.low={self.low}, high={self.high}; valid: low < high")
        if not 0.0 < self.rotation_range * np.sqrt(3.0) < np.pi:
            raise ConfigError(f"action.rotation_range={self.rotation_range}; valid: up to 1.8")
        if abs(np.linalg.norm(self.orientation) - 1.0) > 1e-3:
            raise ConfigError(f"action.orientation={self.orientation}; valid: a unit quaternion")

    def space(self, robot: Robot) -> PoseActions:
        return PoseActions(self, robot.n_arms, robot.gripper_range)


class PoseActions:
    """Implements `ActionSpace`: an absolute pose and a width for each arm."""

    frame = "base"

    def __init__(self, config: PoseConfig, n_arms: int, gripper_range: tuple[Array, Array]) -> None:
        self.config, self.n_arms = config, n_arms
        self.gripper_mode = config.gripper_mode
        self._gripper = GripperMode(config.gripper_mode, config.gripper_scale, *gripper_range)
        low, high = np.array(config.low), np.array(config.high)
        self._centre, self._half = (low + high) / 2, (high - low) / 2
        self._orientation = quat_normalise(np.array(config.orientation))
        self.facts = {
            "pose_low": repr(config.low),
            "pose_high": repr(config.high),
            "pose_orientation": repr(config.orientation),
        }
        self.plant: dict[str, str] = {}
        self.command_layout = pose_layout(n_arms)
        self.dim = 7 * n_arms
        self.names = arm_names(AXES, n_arms)
        arm = [*self._half.tolist(), *[config.rotation_range] * 3]
        self.scale = arm_scales(arm, self._gripper, n_arms)

    def project(self, action: Array, state: RobotState) -> CartesianCommand:
        """As `ActionSpace.project`; values beyond ±1 count as ±1."""
        rows = action_rows(action, self.names, self.n_arms)
        turn = quat_from_rotvec(rows[:, 3:6] * self.config.rotation_range)
        quat = quat_normalise(quat_multiply(turn, self._orientation))
        pose = np.concatenate([self._centre + self._half * rows[:, :3], quat], axis=1)
        width = self._gripper.widths(rows[:, 6], state.gripper_setpoint)
        return CartesianCommand(pose, width, state.stamp_ns)

    def executed(self, before: RobotState, after: RobotState, action: Array) -> Array:
        hint = action_rows(action, self.names, self.n_arms)[:, 6]
        widths = self._gripper.values(before.gripper_setpoint, after.gripper_setpoint, hint)
        return self._inverse(after.setpoint, widths)

    def encode(self, state: RobotState, goal: Command) -> Array:
        """The action (dim,) of that very pose, or of the nearest that the space holds."""
        goal = cartesian(goal)
        widths = self._gripper.values(state.gripper_setpoint, goal.gripper, 0.0)
        return self._inverse(goal.pose, widths)

    def hold(self, state: RobotState) -> Array:
        return self.encode(state, self.setpoint(state))

    def setpoint(self, state: RobotState) -> CartesianCommand:
        return CartesianCommand(state.setpoint, state.gripper_setpoint, state.stamp_ns)

    def vector(self, command: Command) -> Array:
        return pose_vector(cartesian(command))

    def _inverse(self, pose: Array, widths: Array) -> Array:
        turn = quat_multiply(pose[:, 3:], quat_conjugate(self._orientation))
        rows = [
            (pose[:, :3] - self._centre) / self._half,
            rotvec_from_quat(turn) / self.config.rotation_range,
            widths[:, None],
        ]
        return np.clip(np.concatenate(rows, axis=1), -1.0, 1.0).astype(np.float32).ravel()
