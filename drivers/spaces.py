"""The space a robot is commanded in: goals and setpoints of all its arms there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from robot_rl.drivers.safety import (
    Quaternion,
    Vector3,
    check_command,
    clamp_orientation,
    clamp_position,
    joint_headroom,
)
from robot_rl.drivers.setpoint import SetpointLimiter
from robot_rl.errors import SafetyError
from robot_rl.interfaces import Robot
from robot_rl.limits import Limits
from robot_rl.types import Array, CartesianCommand, Command, LimitStage, RobotState


class CommandSpace(Protocol):
    """The arms' limiters, in the space in which the robot below is commanded."""

    @property
    def stage(self) -> LimitStage:
        """What keeps the setpoints from the goal; NONE when nothing does."""
        ...

    def check(self, command: Command) -> Command:
        """Refuses wrong shapes, NaN and infinity, and a kind of command that is not valid here."""
        ...

    def seed(self, state: RobotState) -> None:
        """Rests at the emitted setpoint; RobotFault when it is outside the limits."""
        ...

    def follow(self, command: Command) -> LimitStage:
        """Takes a checked goal, held inside the limits; the stage that changed it."""
        ...

    def goal(self, pose: Array, gripper: Array) -> Command:
        """The command that rests at `pose` (n_arms, 7); SafetyError outside the workspace."""
        ...

    def hold(self) -> None:
        """Drops the goal; the setpoints brake to rest."""
        ...

    def resting(self, state: RobotState) -> bool:
        """Whether setpoints and arms rest at the goal."""
        ...

    def step(self, state: RobotState, gripper: Array) -> Command:
        """The next tick's setpoint, for the robot below."""
        ...


class CartesianSpace:
    """End-effector poses, each in its arm's base frame."""

    def __init__(self, robot: Robot, limits: Sequence[Limits], dt: float) -> None:
        self._limits = limits
        self._arms = [SetpointLimiter(arm, robot.gains, dt) for arm in limits]

    @property
    def stage(self) -> LimitStage:
        return min((s for arm in self._arms if (s := arm.stage)), default=LimitStage.NONE)

    def check(self, command: Command) -> Command:
        return check_command(command, len(self._arms))

    def seed(self, state: RobotState) -> None:
        for arm, pose in zip(self._arms, state.setpoint.tolist(), strict=True):
            arm.seed(pose)

    def follow(self, command: Command) -> LimitStage:
        assert isinstance(command, CartesianCommand)
        worst = LimitStage.NONE
        twists = [None] * len(self._arms) if command.velocity is None else command.velocity.tolist()
        for arm, limits, pose, twist in zip(
            self._arms, self._limits, command.pose.tolist(), twists, strict=True
        ):
            position, quat, stage = clamped(pose, limits)
            arm.follow(position, quat, twist)
            worst = max(worst, stage)
        return worst

    def goal(self, pose: Array, gripper: Array) -> Command:
        command = self.check(CartesianCommand(pose, gripper, 0))
        require_inside(pose, self._limits)
        return command

    def hold(self) -> None:
        for arm in self._arms:
            arm.hold()

    def resting(self, state: RobotState) -> bool:
        return all(
            arm.resting_at(measured, twist)
            for arm, measured, twist in zip(
                self._arms, state.pose.tolist(), state.twist.tolist(), strict=True
            )
        )

    def step(self, state: RobotState, gripper: Array) -> Command:
        poses = [
            arm.step(pose, twist, joint_headroom(q, dq, limits))
            for arm, limits, pose, twist, q, dq in zip(
                self._arms,
                self._limits,
                state.pose.tolist(),
                state.twist.tolist(),
                state.q.tolist(),
                state.dq.tolist(),
                strict=True,
            )
        ]
        return CartesianCommand(np.array(poses), gripper, state.stamp_ns)


def clamped(pose: Sequence[float], limits: Limits) -> tuple[Vector3, Quaternion, LimitStage]:
    """A goal (7,) held inside the workspace, and whether that changed it."""
    x, y, z, qw, qx, qy, qz = pose
    position = clamp_position((x, y, z), limits)
    quat = clamp_orientation((qw, qx, qy, qz), limits)
    same = position == (x, y, z) and quat == (qw, qx, qy, qz)
    return position, quat, LimitStage.NONE if same else LimitStage.WORKSPACE


def require_inside(pose: Array, limits: Sequence[Limits]) -> None:
    """SafetyError naming the first arm whose pose is outside its workspace."""
    for arm, (row, bounds) in enumerate(zip(pose.tolist(), limits, strict=True)):
        if clamped(row, bounds)[2] is not LimitStage.NONE:
            raise SafetyError(
                f"move_to {np.round(row, 4).tolist()} is outside the workspace of arm {arm}; "
                f"valid: {bounds.workspace_low} … {bounds.workspace_high}, at most "
                f"{bounds.max_rotation} rad from {bounds.orientation}"
            )
