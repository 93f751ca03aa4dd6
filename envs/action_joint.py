"""Joint targets as actions, relative to the joints' setpoint or absolute within a range.

relative:  q = q_setpoint + scale · action,   clipped to `clip` of the measured joints
absolute:  q = centre + half · action
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.envs.actions import action_rows, arm_names, arm_scales, member
from robot_rl.envs.gripper_modes import GripperMode
from robot_rl.errors import ConfigError, SpecError
from robot_rl.interfaces import Kinematics, Robot
from robot_rl.types import Array, Command, JointCommand, RobotState

KINDS = ("relative", "absolute")


@dataclass(frozen=True, slots=True)
class JointConfig:
    """Raises ConfigError on a value that is not valid."""

    joints: int = 7
    """Of each arm."""
    kind: str = "relative"
    step: float = 0.05
    """rad for an action of 1, relative."""
    clip: float = 0.15
    """Largest goal - measured position of a joint, rad, relative."""
    low: tuple[float, ...] = ()
    """(joints,) rad for an action of -1, absolute."""
    high: tuple[float, ...] = ()
    gripper_mode: str = "absolute"
    gripper_scale: float = 0.02
    """See `GripperMode`."""

    def __post_init__(self) -> None:
        member("kind", self.kind, KINDS)
        GripperMode(self.gripper_mode, self.gripper_scale)
        if self.joints < 1:
            raise ConfigError(f"action.joints={self.joints}; valid: 1 or more")
        if not 0.0 < self.step <= self.clip:
            raise ConfigError(
                f"action.step={self.step}, clip={self.clip}; valid: above 0, clip at least a step"
            )
        if self.kind == "absolute" and not (
            len(self.low) == len(self.high) == self.joints
            and (np.array(self.low) < self.high).all()
        ):
            raise ConfigError(
                f"action.low={self.low}, high={self.high}; valid: {self.joints} numbers each, "
                "low < high"
            )

    def space(self, robot: Robot) -> JointActions:
        return JointActions(self, robot.n_arms, robot.gripper_range, robot.kinematics)


class JointActions:
    """Implements `ActionSpace`: the joints and the gripper of each arm."""

    frame = ""

    def __init__(
        self,
        config: JointConfig,
        n_arms: int,
        gripper_range: tuple[Array, Array],
        kinematics: Kinematics | None = None,
    ) -> None:
        self._kinematics = kinematics
        self.config, self.n_arms = config, n_arms
        self.gripper_mode = config.gripper_mode
        self._gripper = GripperMode(config.gripper_mode, config.gripper_scale, *gripper_range)
        self._relative = config.kind == "relative"
        joints = config.joints
        low = np.array(config.low or (-config.step,) * joints)
        high = np.array(config.high or (config.step,) * joints)
        self._centre, self._half = (low + high) / 2, (high - low) / 2
        if self._relative:
            self._centre, self._half = np.zeros(joints), np.full(joints, config.step)
        self.facts = {"joint_kind": config.kind}
        self.plant = {"clip": repr(config.clip)} if self._relative else {}
        if not self._relative:
            self.facts |= {"joint_low": repr(config.low), "joint_high": repr(config.high)}
        names: Sequence[str] = [f"joint{i}" for i in range(joints)]
        layout = arm_names(("q", "width"), n_arms)
        self.command_layout = tuple(zip(layout, (joints, 1) * n_arms, strict=True))
        self.dim = (joints + 1) * n_arms
        self.names = arm_names([*names, "gripper"], n_arms)
        self.scale = arm_scales(self._half.tolist(), self._gripper, n_arms)

    def project(self, action: Array, state: RobotState) -> JointCommand:
        """As `ActionSpace.project`; values beyond ±1 count as ±1."""
        rows = action_rows(action, self.names, self.n_arms)
        q = self._centre + self._half * rows[:, :-1]
        if self._relative:
            goal, clip = self._emitted(state) + q, self.config.clip
            q = np.clip(goal, state.q - clip, state.q + clip)
        width = self._gripper.widths(rows[:, -1], state.gripper_setpoint)
        return JointCommand(q, width, state.stamp_ns)

    def executed(self, before: RobotState, after: RobotState, action: Array) -> Array:
        hint = action_rows(action, self.names, self.n_arms)[:, -1]
        widths = self._gripper.values(before.gripper_setpoint, after.gripper_setpoint, hint)
        return self._inverse(self._emitted(before), self._emitted(after), widths)

    def encode(self, state: RobotState, goal: Command) -> Array:
        """The action (dim,) towards a goal, in a straight line of the joints if it is far.

        A Cartesian goal is solved by the robot's kinematics, near the present targets; SpecError
        where it has none.
        """
        goal = self._solved(goal, self._emitted(state))
        widths = self._gripper.values(state.gripper_setpoint, goal.gripper, 0.0)
        start, q = self._emitted(state), goal.q
        if self._relative:
            delta = q - start
            q = start + delta / np.maximum(1.0, np.abs(delta / self._half).max(-1, keepdims=True))
        return self._inverse(start, q, widths)

    def hold(self, state: RobotState) -> Array:
        return self.encode(state, self.setpoint(state))

    def setpoint(self, state: RobotState) -> JointCommand:
        return JointCommand(self._emitted(state), state.gripper_setpoint, state.stamp_ns)

    def vector(self, command: Command) -> Array:
        """(command_dim,) float32: per arm joints, then width."""
        command = self._joint(command)
        joined = np.concatenate([command.q, command.gripper[:, None]], axis=1)
        return joined.astype(np.float32).ravel()

    def _emitted(self, state: RobotState) -> Array:
        """Joint targets last emitted (arms, joints)."""
        q = state.q if state.joint_setpoint is None else state.joint_setpoint
        if q.shape != (self.n_arms, self.config.joints):
            raise SpecError(
                f"the robot has joints of shape {q.shape}; valid for this action space: "
                f"({self.n_arms}, {self.config.joints}) (env.action.joints)"
            )
        return q

    def _solved(self, goal: Command, near: Array) -> JointCommand:
        if self._kinematics is None or isinstance(goal, JointCommand):
            return self._joint(goal)
        solve = self._kinematics.inverse
        rows = [solve(arm, pose, near[arm])[0] for arm, pose in enumerate(goal.pose)]
        return JointCommand(np.stack(rows), goal.gripper, goal.stamp_ns)

    def _joint(self, command: Command) -> JointCommand:
        if not isinstance(command, JointCommand):
            raise SpecError("a Cartesian command; valid in this action space: JointCommand")
        return command

    def _inverse(self, before: Array, after: Array, widths: Array) -> Array:
        q = after - before if self._relative else after
        rows = np.concatenate([(q - self._centre) / self._half, widths[:, None]], axis=1)
        return np.clip(rows, -1.0, 1.0).astype(np.float32).ravel()
