"""Agent's action and robot's command are two things; an `ActionSpace` maps one to the other.

This file holds what all spaces share and the usual one, a relative twist: per arm a twist of the
end effector (6) and a gripper value (1), less the axes that are locked. Forward (`project`):

    goal = setpoint ⊕ scale · action,   clipped to `translational_clip` of the measured pose

and back (`executed`): the action that would have asked for the setpoint that was really emitted by
the end of the period; what a limiter, a workspace wall or the clip took away is not in it. (The
split of action and command follows dm_robotics, `agentflow/core.py`, `ActionSpace.project`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot_rl.envs.gripper_modes import GripperMode
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError, suggest
from robot_rl.geometry import pose_add, pose_difference
from robot_rl.interfaces import ActionSpace, Robot
from robot_rl.types import Array, CartesianCommand, Command, RobotState

AXES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
"""Translation along, then rotation about, the axes of the action frame; then the gripper."""
FRAMES = ("ee", "base")


class ActionSettings(Protocol):
    """What a config's `env.action` makes: it becomes a space once the robot is known."""

    def space(self, robot: Robot) -> ActionSpace:
        """For a connected robot."""
        ...


@dataclass(frozen=True, slots=True)
class ActionConfig:
    """A relative twist. Raises ConfigError on a value that is not valid."""

    axes: tuple[str, ...] = AXES
    """Axes that the agent moves; the others keep their target."""
    frame: str = "ee"
    """"ee": along the axes of the setpoint; "base": along the base's."""
    translation_scale: float = 0.02
    """m for an action of 1."""
    rotation_scale: float = 0.1
    """rad for an action of 1."""
    gripper_mode: str = "absolute"
    """See `GripperMode`."""
    gripper_scale: float = 0.02
    """m of width for an action of 1, in mode "velocity"."""
    translational_clip: float = 0.035
    """Largest goal - measured pose per axis, m: one step and the controller's lag at full speed."""
    rotational_clip: float = 0.25
    """The same for rotation, rad."""

    def __post_init__(self) -> None:
        member("frame", self.frame, FRAMES)
        GripperMode(self.gripper_mode, self.gripper_scale)
        for axis in self.axes:
            member("axes", axis, AXES)
        if not self.axes:
            raise ConfigError(f"action.axes is empty; valid: some of {', '.join(AXES)}")
        for kind in ("translation", "rotation"):
            scale, name = getattr(self, f"{kind}_scale"), f"{kind}al_clip"
            if not 0.0 < scale < np.inf:
                raise ConfigError(f"action.{kind}_scale={scale}; valid: above 0")
            if not getattr(self, name) >= scale:
                raise ConfigError(
                    f"action.{name}={getattr(self, name)} is shorter than one step, "
                    f"action.{kind}_scale={scale}; valid: at least that"
                )

    def space(self, robot: Robot) -> TwistActions:
        return TwistActions(self, robot.n_arms, robot.gripper_range)


class TwistActions:
    """Implements `ActionSpace`: a relative twist for each of `n_arms`."""

    def __init__(
        self, config: ActionConfig, n_arms: int, gripper_range: tuple[Array, Array]
    ) -> None:
        self.config = config
        self.n_arms = n_arms
        self.frame, self.gripper_mode = config.frame, config.gripper_mode
        self.facts: dict[str, str] = {}
        self.plant = {"clip": f"{config.translational_clip!r},{config.rotational_clip!r}"}
        self.command_layout = pose_layout(n_arms)
        self._gripper = GripperMode(config.gripper_mode, config.gripper_scale, *gripper_range)
        kept = [axis in config.axes for axis in AXES]
        self._moved = np.flatnonzero(kept[:6])
        self._grips = kept[6]
        self._scale = np.repeat([config.translation_scale, config.rotation_scale], 3)
        clip = np.repeat([config.translational_clip, config.rotational_clip], 3)
        # A locked axis has no action that could bring its target back: the clip leaves it alone.
        self._clip = np.where(kept[:6], clip, np.inf)
        self._near = config.translational_clip**2
        self._aligned = np.cos(min(config.rotational_clip, np.pi) / 2)
        self._arm_dim = len(self._moved) + self._grips
        self.dim = n_arms * self._arm_dim
        self.names = arm_names([axis for axis in AXES if axis in config.axes], n_arms)
        self.scale = arm_scales(
            self._scale[self._moved].tolist(), self._gripper, n_arms, grips=self._grips
        )

    def project(self, action: Array, state: RobotState) -> CartesianCommand:
        """The command an action asks for. Values beyond ±1 count as ±1.

        Raises SpecError on a wrong shape, PoisonedDataError on NaN or infinity.
        """
        rows = action_rows(action, self.names, self.n_arms)
        delta = np.zeros((self.n_arms, 6))
        delta[:, self._moved] = rows[:, : len(self._moved)]
        goal = pose_add(state.setpoint, delta * self._scale, self.frame)
        width = state.gripper_setpoint
        width = self._gripper.widths(rows[:, -1], width) if self._grips else width
        return CartesianCommand(self._clipped(goal, state.pose), width, state.stamp_ns)

    def executed(self, before: RobotState, after: RobotState, action: Array) -> Array:
        """The action (dim,) float32 that explains the setpoint in `after`, clipped to [-1, 1]."""
        hint = action_rows(action, self.names, self.n_arms)[:, -1]
        return self._inverse(before, after.setpoint, after.gripper_setpoint, hint)

    def encode(self, state: RobotState, goal: Command) -> Array:
        """The action (dim,) float32 that moves towards a goal, in a straight line if it is far."""
        goal = cartesian(goal)
        delta = pose_difference(state.setpoint, goal.pose, self.frame) / self._scale
        for part in (delta[:, :3], delta[:, 3:]):
            part /= np.maximum(1.0, np.abs(part).max(axis=-1, keepdims=True))
        towards = pose_add(state.setpoint, delta * self._scale, self.frame)
        return self._inverse(state, towards, goal.gripper, 0.0)

    def hold(self, state: RobotState) -> Array:
        """The action (dim,) float32 that keeps the setpoint, grippers included."""
        held = np.zeros((self.n_arms, self._arm_dim), np.float32)
        if self._grips:
            width = state.gripper_setpoint
            held[:, -1] = self._gripper.values(width, width, 0.0)
        return np.clip(held.ravel(), -1.0, 1.0)

    def setpoint(self, state: RobotState) -> CartesianCommand:
        """The command that the robot follows now."""
        return CartesianCommand(state.setpoint, state.gripper_setpoint, state.stamp_ns)

    def vector(self, command: Command) -> Array:
        """A command as (command_dim,) float32: per arm pose, then width."""
        return pose_vector(cartesian(command))

    def _inverse(
        self, before: RobotState, pose: Array, gripper: Array, hint: Array | float
    ) -> Array:
        delta = pose_difference(before.setpoint, pose, self.frame) / self._scale
        rows = delta[:, self._moved]
        if self._grips:
            values = self._gripper.values(before.gripper_setpoint, gripper, hint)
            rows = np.concatenate([rows, values[:, None]], axis=1)
        return np.clip(rows, -1.0, 1.0).astype(np.float32).ravel()

    def _clipped(self, goal: Array, measured: Array) -> Array:
        shift = goal[:, :3] - measured[:, :3]
        cosine = np.abs((goal[:, 3:] * measured[:, 3:]).sum(axis=1))
        if (shift * shift).sum() < self._near and cosine.min() > self._aligned:
            return goal  # within the clip along any axes: the usual case, at a third of the cost
        ahead = pose_difference(measured, goal, self.frame)
        if (np.abs(ahead) <= self._clip).all():
            return goal
        return pose_add(measured, np.clip(ahead, -self._clip, self._clip), self.frame)


def member(key: str, value: str, valid: Sequence[str]) -> None:
    """ConfigError where `value` is none of `valid`."""
    if value not in valid:
        raise ConfigError(f"action.{key}: '{value}' is not valid; {suggest(value, valid)}")


def arm_names(names: Sequence[str], n_arms: int) -> tuple[str, ...]:
    """Names of all dimensions, with their arm where there are several."""
    if n_arms == 1:
        return tuple(names)
    return tuple(f"arm{arm}.{name}" for arm in range(n_arms) for name in names)


def arm_scales(
    arm: list[float], gripper: GripperMode, n_arms: int, *, grips: bool = True
) -> tuple[float, ...]:
    """Physical value of an action of 1 for each dimension, grippers last in each arm."""
    widths = np.broadcast_to(gripper.scale, n_arms).tolist()
    return tuple(value for width in widths for value in [*arm, *[width] * grips])


def action_rows(action: Array, names: Sequence[str], n_arms: int) -> Array:
    """An action (dim,) as (n_arms, dim / n_arms) within [-1, 1].

    Raises SpecError on a wrong shape, PoisonedDataError on NaN or infinity.
    """
    action = np.asarray(action, np.float64)
    if action.shape != (len(names),):
        raise SpecError(f"action: got shape {action.shape}, valid: ({len(names)},)")
    if not np.isfinite(action).all():
        index = int(np.flatnonzero(~np.isfinite(action))[0])
        raise PoisonedDataError(
            f"action: {action[index]} at index {index} ({names[index]}); valid: finite, in [-1, 1]"
        )
    return np.clip(action, -1.0, 1.0).reshape(n_arms, -1)


def cartesian(command: Command) -> CartesianCommand:
    """SpecError where the command is none."""
    if not isinstance(command, CartesianCommand):
        raise SpecError("a joint command; valid in this action space: CartesianCommand")
    return command


def pose_layout(n_arms: int) -> tuple[tuple[str, int], ...]:
    """Names and widths of the parts of `pose_vector`."""
    names = arm_names(("pose", "width"), n_arms)
    return tuple(zip(names, (7, 1) * n_arms, strict=True))


def pose_vector(command: CartesianCommand) -> Array:
    """(8 n_arms,) float32: per arm pose, then width."""
    joined = np.concatenate([command.pose, command.gripper[:, None]], axis=1)
    return joined.astype(np.float32).ravel()
