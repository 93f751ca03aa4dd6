"""A kinematic robot that checks what it is given, commanded in Cartesian or in joint space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.errors import RobotFault, SpecError
from robot_rl.fault_latch import FaultLatch
from robot_rl.geometry import (
    GRIPPER_DOWN,
    pose_add,
    pose_difference,
    pose_multiply,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    rotvec_from_quat,
)
from robot_rl.interfaces import Capability
from robot_rl.limits import Limits
from robot_rl.testing.fake_world import TICK_NS, FakeClock, FakeWorld, check_array
from robot_rl.types import Array, CartesianCommand, Command, JointCommand, LimitStage, RobotState

GRIPPER = (0.0, 0.08)
GRASP = 0.04
"""An object this near to a gripper that closes goes along with it, m."""
JOINTS = 7


class FakeKinematics:
    """A gantry with a wrist: joints 1 to 3 are the position (m), 4 to 6 the rotation vector from
    gripper-down (rad); joint 7 moves nothing."""

    reach = 1.0

    def forward(self, arm: int, q: Sequence[float]) -> Sequence[float]:
        quat = quat_multiply(quat_from_rotvec(np.asarray(q[3:6], np.float64)), GRIPPER_DOWN)
        return [*q[:3], *(quat if quat[0] >= 0.0 else -quat).tolist()]

    def inverse(self, arm: int, pose: Array, near: Array) -> tuple[Array, float]:
        turn = rotvec_from_quat(quat_multiply(pose[3:], quat_conjugate(GRIPPER_DOWN)))
        return np.concatenate([pose[:3], turn, near[6:]]), 0.0


class FakeRobot:
    """A kinematic robot: its setpoint runs towards the goal at `speed`, its pose follows at once.

    `low`, `high`: box that the setpoint stays in (stage WORKSPACE). `obstacle_z`: height below
    which the measured pose does not get, while the setpoint may. With a world, a gripper that
    closes beside an object carries it. Commands are checked as a driver must check them.
    """

    def __init__(
        self,
        world: FakeWorld | None = None,
        *,
        n_arms: int = 1,
        joint: bool = False,
        speed: float = 0.5,
        angular_speed: float = 2.0,
        low: tuple[float, float, float] = (-2.0, -2.0, -2.0),
        high: tuple[float, float, float] = (2.0, 2.0, 2.0),
        obstacle_z: float = -math.inf,
        base_poses: Array | None = None,
    ) -> None:
        """Speeds in m/s and rad/s, positions in m; joint: it takes joint commands only."""
        self._world = world
        self._clock = world.clock if world is not None else FakeClock()
        self._n, self._joint = n_arms, joint
        self._speed = np.array([speed] * 3 + [angular_speed] * 4)
        self._low, self._high, self._obstacle_z = np.array(low), np.array(high), obstacle_z
        self._bases = np.eye(1, 7, 3).repeat(n_arms, 0) if base_poses is None else base_poses
        self._solver = FakeKinematics()
        self._setpoint = np.tile([0.5, 0.0, 0.3, *GRIPPER_DOWN], (n_arms, 1))
        self._q = self._inverse(self._setpoint) if joint else np.zeros((n_arms, JOINTS))
        self._rates = np.zeros((n_arms, JOINTS))
        self._goal = (self._q if joint else self._setpoint).copy()
        self._twist = np.zeros((n_arms, 6))
        self._width = np.full(n_arms, GRIPPER[1])
        self._stage = LimitStage.NONE
        self._held: dict[str, int] = {}
        self._fault = FaultLatch()
        self._connected = False
        self._clock.every(TICK_NS, self._tick)

    @property
    def n_arms(self) -> int:
        return self._n

    @property
    def capabilities(self) -> Capability:
        space = Capability.JOINT if self._joint else Capability.CARTESIAN_IMPEDANCE
        return space | Capability.GRIPPER

    @property
    def clock(self) -> FakeClock:
        return self._clock

    @property
    def base_poses(self) -> Array:
        return self._bases.copy()

    @property
    def gripper_range(self) -> tuple[Array, Array]:
        return np.full(self._n, GRIPPER[0]), np.full(self._n, GRIPPER[1])

    @property
    def limits(self) -> tuple[Limits, ...]:
        return ()

    @property
    def kinematics(self) -> FakeKinematics | None:
        return self._solver if self._joint else None

    @property
    def gains(self) -> Mapping[str, float]:
        if self._joint:
            return {"joint_stiffness": 600.0}
        return {"translational_stiffness": 2000.0, "translational_clip": 0.01}

    def connect(self) -> None:
        self._fault.clear()
        self._connected = True

    def fail(self, reason: str) -> None:
        """Latches a fault, as hardware would; an empty reason clears it."""
        self._fault.clear()
        self._fault.latch(reason)

    def read(self) -> RobotState:
        self._require(fault=False)
        pose = self._setpoint.copy()
        pose[:, 2] = np.maximum(pose[:, 2], self._obstacle_z)
        return RobotState(
            stamp_ns=self._clock.now_ns(),
            boot_id=self._clock.boot_id,
            q=self._q.copy(),
            dq=self._rates.copy(),
            tau=np.zeros((self._n, JOINTS)),
            pose=pose,
            twist=self._twist.copy(),
            wrench=np.zeros((self._n, 6)),
            gripper_width=self._width.copy(),
            setpoint=self._setpoint.copy(),
            gripper_setpoint=self._width.copy(),
            limiting_stage=LimitStage.FAULT if self._fault.shown else self._stage,
            fault=self._fault.shown,
            joint_setpoint=self._q.copy() if self._joint else None,
        )

    def command(self, command: Command) -> None:
        self._require(fault=True)
        if isinstance(command, JointCommand) is not self._joint:
            valid = "JointCommand" if self._joint else "CartesianCommand"
            raise SpecError(f"a {type(command).__name__}; valid here: {valid}")
        goal = command.pose if isinstance(command, CartesianCommand) else command.q
        if isinstance(command, CartesianCommand):
            self._check_poses(goal)
        check_array("goal", goal, (self._n, 7))
        check_array("gripper", command.gripper, (self._n,))
        if command.velocity is not None:
            check_array("velocity", command.velocity, (self._n, JOINTS if self._joint else 6))
        if command.stamp_ns > self._clock.now_ns():
            raise SpecError(f"stamp {command.stamp_ns} ns is in the future of the robot's clock")
        self._goal = goal.copy()
        self._width = np.clip(command.gripper, *GRIPPER)
        self._grasp()

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        self._require(fault=True)
        self._check_poses(pose)
        if gripper is not None:
            check_array("gripper", gripper, (self._n,))
            self._width = np.clip(gripper, *GRIPPER)
        self._setpoint = pose.copy()
        if self._joint:
            self._q = self._inverse(pose)
        self._twist[:] = self._rates[:] = 0.0
        self.stop()
        self._held.clear()

    def trip(self, reason: str) -> None:
        self._fault.trip(reason)

    def rearm(self) -> None:
        self._fault.clear()
        self.stop()

    def stop(self) -> None:
        self._goal = (self._q if self._joint else self._setpoint).copy()

    def close(self) -> None:
        self._connected = False

    def _tick(self) -> None:
        self._fault.obey()
        if self._fault.reason:
            return
        dt = TICK_NS / 1e9
        goal = self._goal.copy()
        goal[:, :3] = np.clip(goal[:, :3], self._low, self._high)
        walls = (goal != self._goal).any()
        before = self._setpoint
        most = dt * self._speed
        if self._joint:
            delta = goal - self._q
            step = np.clip(delta, -most, most)
            self._q = self._q + step
            self._rates = step / dt
            rows = [self._solver.forward(arm, q) for arm, q in enumerate(self._q.tolist())]
            self._setpoint = np.array(rows)
            self._twist = pose_difference(before, self._setpoint, "base") / dt
        else:
            delta = pose_difference(self._setpoint, goal, "base")
            step = np.clip(delta, -most[:6], most[:6])
            self._setpoint = pose_add(before, step, "base")
            self._twist = step / dt
        short = np.abs(delta - step).max() > 1e-9
        self._stage = (
            LimitStage.WORKSPACE if walls else LimitStage.VELOCITY if short else LimitStage.NONE
        )
        if self._world is not None:
            was, now = self._in_world(before), self._in_world(self._setpoint)
            for name, arm in self._held.items():
                self._world.poses[name][:3] += now[arm, :3] - was[arm, :3]

    def _grasp(self) -> None:
        if self._world is None:
            return
        for arm, tool in enumerate(self._in_world(self._setpoint)):
            for name, pose in self._world.poses.items():
                near = np.linalg.norm(pose[:3] - tool[:3]) < GRASP
                if self._width[arm] >= GRIPPER[1] / 2:
                    if self._held.get(name) == arm:
                        del self._held[name]
                elif near:
                    self._held.setdefault(name, arm)

    def _in_world(self, pose: Array) -> Array:
        """Poses (n_arms, 7) of each arm's base frame, in the world's."""
        return pose_multiply(self._bases, pose)

    def _inverse(self, pose: Array) -> Array:
        rest = np.zeros(JOINTS)
        return np.array([self._solver.inverse(i, row, rest)[0] for i, row in enumerate(pose)])

    def _check_poses(self, pose: Array) -> None:
        check_array("pose", pose, (self._n, 7))
        norms = np.linalg.norm(pose[:, 3:], axis=1)
        if np.abs(norms - 1.0).max() > 1e-6:
            raise SpecError(f"pose: quaternions of length {norms}; valid: 1")

    def _require(self, *, fault: bool) -> None:
        if not self._connected:
            raise RobotFault("the robot is not connected; call connect() first")
        if fault:
            self._fault.obey()
            if self._fault.reason:
                raise RobotFault(f"{self._fault.reason}; a person re-arms")
