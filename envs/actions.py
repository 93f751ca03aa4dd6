"""The agent's action and the robot's command are two things; `ActionSpace` maps one to the other.

An action is a vector in [-1, 1]: per arm a relative end-effector twist (6) and a gripper value (1),
less the axes that are locked. A command is a goal pose and a width. Forward (`project`):

    goal = previous executed target ⊕ scale · action,   held within a leash of the measured pose

and back (`executed`): the action that would have asked for the setpoint that was really emitted by
the end of the period; what a limiter, a workspace wall or the leash took away is not in it. (The
split of action and command follows dm_robotics, `agentflow/core.py`, `ActionSpace.project`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.errors import ConfigError, PoisonedDataError, SpecError, suggest
from robot_rl.geometry import pose_add, pose_difference
from robot_rl.types import Array, CartesianCommand, RobotState

AXES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
"""Translation along, then rotation about, the axes of the action frame; then the gripper."""
FRAMES = ("ee", "base")
GRIPPER_MODES = ("absolute", "ternary", "velocity")
THRESHOLD = 0.5
"""A ternary gripper acts beyond it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the end effectors were last really sent: poses (a, 7) in base frames, widths (a,) m."""

    pose: Array
    gripper: Array

    @classmethod
    def of(cls, state: RobotState) -> Target:
        """The setpoint that the robot emitted last."""
        return cls(state.setpoint, state.gripper_setpoint)


@dataclass(frozen=True, slots=True)
class ActionConfig:
    """How actions are meant. Raises ConfigError on a value that is not valid.

    Gripper modes: "absolute" is proportional from -1 closed to 1 open; "ternary" closes below -0.5,
    opens above 0.5 and else keeps the width; "velocity" adds action * gripper_scale to the width.
    """

    axes: tuple[str, ...] = AXES
    """Axes that the agent moves; the others keep their target."""
    frame: str = "ee"
    """"ee": along the axes of the previous target; "base": along the base's."""
    translation_scale: float = 0.02
    """m for an action of 1."""
    rotation_scale: float = 0.1
    """rad for an action of 1."""
    gripper_mode: str = "absolute"
    gripper_scale: float = 0.02
    """m of width for an action of 1, in mode "velocity"."""
    leash_translation: float = 0.035
    """Largest goal - measured pose per axis, m: one step and the controller's lag at full speed."""
    leash_rotation: float = 0.25
    """The same for rotation, rad."""

    def __post_init__(self) -> None:
        _member("frame", self.frame, FRAMES)
        _member("gripper_mode", self.gripper_mode, GRIPPER_MODES)
        for axis in self.axes:
            _member("axes", axis, AXES)
        if not self.axes:
            raise ConfigError(f"action.axes is empty; valid: some of {', '.join(AXES)}")
        for name in ("translation_scale", "rotation_scale", "gripper_scale"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ConfigError(f"action.{name}={getattr(self, name)}; valid: above 0")
        for kind in ("translation", "rotation"):
            leash, scale = getattr(self, f"leash_{kind}"), getattr(self, f"{kind}_scale")
            if not leash >= scale:
                raise ConfigError(
                    f"action.leash_{kind}={leash} is shorter than one step, "
                    f"action.{kind}_scale={scale}; valid: at least that"
                )


class ActionSpace:
    """Projects actions (dim,) to commands and emitted setpoints back to actions, for `n_arms`."""

    def __init__(
        self, config: ActionConfig, n_arms: int, gripper_range: tuple[float, float]
    ) -> None:
        self.config = config
        self.n_arms = n_arms
        self._closed, self._open = map(float, gripper_range)
        kept = [axis in config.axes for axis in AXES]
        self._moved = np.flatnonzero(kept[:6])
        self._grips = kept[6]
        self._scale = np.repeat([config.translation_scale, config.rotation_scale], 3)
        leash = np.repeat([config.leash_translation, config.leash_rotation], 3)
        # A locked axis has no action that could bring its target back: the leash leaves it alone.
        self._leash = np.where(kept[:6], leash, np.inf)
        self._near = config.leash_translation**2
        self._aligned = np.cos(min(config.leash_rotation, np.pi) / 2)
        self._arm_dim = len(self._moved) + self._grips

    @property
    def dim(self) -> int:
        """Numbers in an action."""
        return self.n_arms * self._arm_dim

    @property
    def command_layout(self) -> tuple[tuple[str, int], ...]:
        """Names and widths of the parts of a command vector."""
        if self.n_arms == 1:
            return ("pose", 7), ("width", 1)
        parts = (("pose", 7), ("width", 1))
        return tuple((f"arm{arm}.{name}", n) for arm in range(self.n_arms) for name, n in parts)

    @property
    def names(self) -> tuple[str, ...]:
        """What each number of an action moves, in order."""
        kept = [axis for axis in AXES if axis in self.config.axes]
        if self.n_arms == 1:
            return tuple(kept)
        return tuple(f"arm{arm}.{axis}" for arm in range(self.n_arms) for axis in kept)

    @property
    def scale(self) -> tuple[float, ...]:
        """Physical value of an action of 1, per dimension (m, rad, m of width)."""
        half = (self._open - self._closed) / 2
        mode = self.config.gripper_mode
        grip = {"absolute": half, "ternary": 2 * half, "velocity": self.config.gripper_scale}[mode]
        arm = [float(self._scale[i]) for i in self._moved] + [grip] * self._grips
        return tuple(arm * self.n_arms)

    def project(self, action: Array, previous: Target, state: RobotState) -> CartesianCommand:
        """The command an action asks for. Values beyond ±1 count as ±1.

        Raises SpecError on a wrong shape, PoisonedDataError on NaN or infinity.
        """
        rows = self._rows(action)
        delta = np.zeros((self.n_arms, 6))
        delta[:, self._moved] = rows[:, : len(self._moved)]
        goal = pose_add(previous.pose, delta * self._scale, self.config.frame)
        gripper = self._widths(rows[:, -1], previous) if self._grips else previous.gripper
        return CartesianCommand(self._on_leash(goal, state.pose), gripper, state.stamp_ns)

    def executed(self, previous: Target, state: RobotState, proposed: Array) -> Array:
        """The action (dim,) float32 that explains the setpoint in `state`, clipped to [-1, 1].

        A ternary gripper maps several values to one width; `proposed` decides among those.
        """
        return self._inverse(previous, Target.of(state), self._rows(proposed)[:, -1])

    def encode(self, previous: Target, goal: Target) -> Array:
        """The action (dim,) float32 that moves towards a goal, in a straight line if it is far."""
        delta = pose_difference(previous.pose, goal.pose, self.config.frame) / self._scale
        for part in (delta[:, :3], delta[:, 3:]):
            part /= np.maximum(1.0, np.abs(part).max(axis=-1, keepdims=True))
        towards = pose_add(previous.pose, delta * self._scale, self.config.frame)
        return self._inverse(previous, Target(towards, goal.gripper), np.zeros(self.n_arms))

    def vector(self, command: CartesianCommand) -> Array:
        """A command as (command_dim,) float32: per arm pose, then width."""
        joined = np.concatenate([command.pose, command.gripper[:, None]], axis=1)
        return joined.astype(np.float32).ravel()

    def _rows(self, action: Array) -> Array:
        action = np.asarray(action, np.float64)
        if action.shape != (self.dim,):
            raise SpecError(f"action: got shape {action.shape}, valid: ({self.dim},)")
        if not np.isfinite(action).all():
            index = int(np.flatnonzero(~np.isfinite(action))[0])
            raise PoisonedDataError(
                f"action: {action[index]} at index {index} ({self.names[index]}); "
                "valid: finite, in [-1, 1]"
            )
        return np.clip(action, -1.0, 1.0).reshape(self.n_arms, self._arm_dim)

    def _inverse(self, previous: Target, now: Target, grip_hint: Array) -> Array:
        delta = pose_difference(previous.pose, now.pose, self.config.frame) / self._scale
        rows = delta[:, self._moved]
        if self._grips:
            rows = np.concatenate([rows, self._grips_of(previous, now, grip_hint)[:, None]], axis=1)
        return np.clip(rows, -1.0, 1.0).astype(np.float32).ravel()

    def _widths(self, grip: Array, previous: Target) -> Array:
        mode, width = self.config.gripper_mode, previous.gripper
        if mode == "absolute":
            return self._closed + (grip + 1.0) / 2.0 * (self._open - self._closed)
        if mode == "velocity":
            return np.clip(width + grip * self.config.gripper_scale, self._closed, self._open)
        ends = np.where(grip > 0.0, self._open, self._closed)
        return np.where(np.abs(grip) > THRESHOLD, ends, width)

    def _grips_of(self, previous: Target, now: Target, hint: Array) -> Array:
        mode, span = self.config.gripper_mode, self._open - self._closed
        if mode == "absolute":
            return 2.0 * (now.gripper - self._closed) / span - 1.0
        change = now.gripper - previous.gripper
        if mode == "velocity":
            return change / self.config.gripper_scale
        wanted = np.where(np.abs(hint) > THRESHOLD, np.sign(hint), 0.0)
        agrees = np.abs(self._widths(wanted, previous) - now.gripper) < 1e-3 * span
        return np.where(agrees, wanted, np.where(np.abs(change) > 0.5 * span, np.sign(change), 0.0))

    def _on_leash(self, goal: Array, measured: Array) -> Array:
        shift = goal[:, :3] - measured[:, :3]
        cosine = np.abs((goal[:, 3:] * measured[:, 3:]).sum(axis=1))
        if (shift * shift).sum() < self._near and cosine.min() > self._aligned:
            return goal  # within the leash along any axes: the usual case, at a third of the cost
        ahead = pose_difference(measured, goal, self.config.frame)
        if (np.abs(ahead) <= self._leash).all():
            return goal
        return pose_add(measured, np.clip(ahead, -self._leash, self._leash), self.config.frame)


def _member(key: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        raise ConfigError(f"action.{key}: '{value}' is not valid; {suggest(value, valid)}")
