"""A robot that is commanded in joint space: goals are joints, or poses through its kinematics."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from robot_rl.drivers.joint_setpoint import JointLimiter, outside
from robot_rl.drivers.safety import check_command
from robot_rl.drivers.spaces import clamped, require_inside
from robot_rl.errors import RobotFault, SpecError
from robot_rl.geometry import pose_add
from robot_rl.interfaces import Robot
from robot_rl.limits import Limits
from robot_rl.types import Array, CartesianCommand, Command, JointCommand, LimitStage, RobotState

OUT_OF_REACH = 1e-3
"""m or rad that inverse kinematics may leave."""


class JointSpace:
    """Joint positions of each arm. A `CommandSpace`; made once the robot is connected.

    A Cartesian goal is solved for joints near the setpoint, then limited as any other.
    """

    def __init__(self, robot: Robot, limits: Sequence[Limits], dt: float) -> None:
        """SpecError when the robot claims Capability.JOINT and offers no kinematics."""
        if robot.kinematics is None:
            raise SpecError("the robot claims JOINT; it must offer kinematics once connected")
        self._kinematics = robot.kinematics
        self._limits, self._dt = limits, dt
        clip = robot.gains.get("joint_clip", inf)
        self._arms = [
            JointLimiter(bounds, self._kinematics, arm, clip, dt)
            for arm, bounds in enumerate(limits)
        ]
        self._joints = len(limits[0].joint_low)
        self._setpoint = np.zeros((len(limits), self._joints))

    @property
    def stage(self) -> LimitStage:
        return min((s for arm in self._arms if (s := arm.stage)), default=LimitStage.NONE)

    def check(self, command: Command) -> Command:
        return check_command(command, len(self._arms), self._joints)

    def seed(self, state: RobotState) -> None:
        if state.joint_setpoint is None:
            raise SpecError("the robot claims JOINT; its state must have a joint_setpoint")
        self._setpoint = np.array(state.joint_setpoint)
        for arm, q in zip(self._arms, self._setpoint.tolist(), strict=True):
            arm.seed(q)

    def follow(self, command: Command) -> LimitStage:
        worst = LimitStage.NONE
        if isinstance(command, CartesianCommand):
            command, worst = self._solved(command)
        rates = [None] * len(self._arms) if command.velocity is None else command.velocity.tolist()
        for arm, goal, rate in zip(self._arms, command.q.tolist(), rates, strict=True):
            worst = max(worst, arm.follow(goal, rate))
        if worst is LimitStage.NONE and self._outside(command.q):
            worst = LimitStage.WORKSPACE
        return worst

    def goal(self, pose: Array, gripper: Array) -> Command:
        """Also RobotFault when the pose is out of reach."""
        self.check(CartesianCommand(pose, gripper, 0))
        require_inside(pose, self._limits)
        q, away = self._inverse(pose, self._setpoint)
        if away > OUT_OF_REACH:
            raise RobotFault(f"{np.round(pose, 4).tolist()} is out of reach by {away:.2g}")
        return JointCommand(q, gripper, 0)

    def hold(self) -> None:
        for arm in self._arms:
            arm.hold()

    def resting(self, state: RobotState) -> bool:
        pairs = zip(self._arms, state.q.tolist(), state.dq.tolist(), strict=True)
        return all(arm.resting_at(q, dq) for arm, q, dq in pairs)

    def step(self, state: RobotState, gripper: Array) -> Command:
        pairs = zip(self._arms, state.q.tolist(), state.dq.tolist(), strict=True)
        steps = [arm.step(q, dq) for arm, q, dq in pairs]
        self._setpoint = np.array([q for q, _ in steps])
        velocity = np.array([rate for _, rate in steps])
        return JointCommand(self._setpoint, gripper, state.stamp_ns, velocity)

    def _solved(self, command: CartesianCommand) -> tuple[JointCommand, LimitStage]:
        """The joints of a Cartesian goal, nearest to the setpoint; what changed it on the way."""
        worst, poses = LimitStage.NONE, []
        for row, limits in zip(command.pose.tolist(), self._limits, strict=True):
            position, quat, stage = clamped(row, limits)
            poses.append((*position, *quat))
            worst = max(worst, stage)
        pose = np.array(poses)
        q, away = self._inverse(pose, self._setpoint)
        if away > OUT_OF_REACH:
            worst = max(worst, LimitStage.JOINT)
        velocity = None
        if command.velocity is not None:
            after, _ = self._inverse(pose_add(pose, self._dt * command.velocity, "base"), q)
            velocity = (after - q) / self._dt
        return JointCommand(q, command.gripper, command.stamp_ns, velocity), worst

    def _inverse(self, pose: Array, near: Array) -> tuple[Array, float]:
        found = [
            self._kinematics.inverse(arm, goal, seed)
            for arm, (goal, seed) in enumerate(zip(pose, near, strict=True))
        ]
        return np.array([q for q, _ in found]), max(away for _, away in found)

    def _outside(self, q: Array) -> bool:
        """Whether a goal's tool is outside its workspace: the setpoint will stop at the wall."""
        return any(
            max(outside(self._kinematics.forward(arm, row), limits)) > 0.0
            for arm, (row, limits) in enumerate(zip(q.tolist(), self._limits, strict=True))
        )
