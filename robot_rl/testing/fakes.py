"""Fakes that check what they are given: a kinematic robot, its world, a camera, a task.

They move nothing but numbers, so an environment, a driver process or a control loop is tested in
microseconds, and every contract that a real part would break on is checked on the way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.errors import RobotFault, SpecError
from robot_rl.geometry import GRIPPER_DOWN, pose_add, pose_difference
from robot_rl.interfaces import Bundle, Capability, World
from robot_rl.testing.fake_world import TICK_NS, FakeCamera, FakeClock, FakeWorld, check_array
from robot_rl.types import Array, CartesianCommand, Command, LimitStage, Outcome, RobotState, Scene

__all__ = [
    "FakeCamera",
    "FakeClock",
    "FakeRobot",
    "FakeTask",
    "FakeWorld",
    "fake_bundle",
]

GRIPPER = (0.0, 0.08)
GRASP = 0.04
"""An object this near to a gripper that closes goes along with it, m."""


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
        speed: float = 0.5,
        angular_speed: float = 2.0,
        low: tuple[float, float, float] = (-2.0, -2.0, -2.0),
        high: tuple[float, float, float] = (2.0, 2.0, 2.0),
        obstacle_z: float = -math.inf,
    ) -> None:
        """Speeds in m/s and rad/s, positions in m."""
        self._world = world
        self._clock = world.clock if world is not None else FakeClock()
        self._n = n_arms
        self._speed = np.array([speed] * 3 + [angular_speed] * 3)
        self._low, self._high, self._obstacle_z = np.array(low), np.array(high), obstacle_z
        self._setpoint = np.tile([0.5, 0.0, 0.3, *GRIPPER_DOWN], (n_arms, 1))
        self._goal = self._setpoint.copy()
        self._twist = np.zeros((n_arms, 6))
        self._width = np.full(n_arms, GRIPPER[1])
        self._stage = LimitStage.NONE
        self._held: dict[str, int] = {}
        self._fault = ""
        self._connected = False
        self._clock.every(TICK_NS, self._tick)

    @property
    def n_arms(self) -> int:
        return self._n

    @property
    def capabilities(self) -> Capability:
        return Capability.CARTESIAN_IMPEDANCE | Capability.GRIPPER

    @property
    def clock(self) -> FakeClock:
        return self._clock

    @property
    def gripper_range(self) -> tuple[float, float]:
        return GRIPPER

    @property
    def gains(self) -> Mapping[str, float]:
        return {"translational_stiffness": 2000.0, "translational_clip": 0.01}

    def connect(self) -> None:
        self._connected = True

    def fail(self, reason: str) -> None:
        """Latches a fault, as hardware would; an empty reason clears it."""
        self._fault = reason

    def read(self) -> RobotState:
        self._require(fault=False)
        joints = np.zeros((self._n, 7))
        pose = self._setpoint.copy()
        pose[:, 2] = np.maximum(pose[:, 2], self._obstacle_z)
        return RobotState(
            stamp_ns=self._clock.now_ns(),
            boot_id=self._clock.boot_id,
            q=joints,
            dq=joints.copy(),
            tau=joints.copy(),
            pose=pose,
            twist=self._twist.copy(),
            wrench=np.zeros((self._n, 6)),
            gripper_width=self._width.copy(),
            setpoint=self._setpoint.copy(),
            gripper_setpoint=self._width.copy(),
            limiting_stage=LimitStage.FAULT if self._fault else self._stage,
            fault=self._fault,
        )

    def command(self, command: Command) -> None:
        self._require(fault=True)
        if not isinstance(command, CartesianCommand):
            raise SpecError("a joint command; valid here: CartesianCommand")
        self._check_poses(command.pose)
        check_array("gripper", command.gripper, (self._n,))
        if command.stamp_ns > self._clock.now_ns():
            raise SpecError(f"stamp {command.stamp_ns} ns is in the future of the robot's clock")
        self._goal = command.pose.copy()
        self._width = np.clip(command.gripper, *GRIPPER)
        self._grasp()

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        self._require(fault=True)
        self._check_poses(pose)
        self._setpoint, self._goal = pose.copy(), pose.copy()
        self._twist[:] = 0.0
        if gripper is not None:
            check_array("gripper", gripper, (self._n,))
            self._width = np.clip(gripper, *GRIPPER)
        self._held.clear()

    def trip(self, reason: str) -> None:
        self._fault = reason

    def rearm(self) -> None:
        self._fault = ""

    def stop(self) -> None:
        self._goal = self._setpoint.copy()

    def close(self) -> None:
        self._connected = False

    def _tick(self) -> None:
        if self._fault:
            return
        dt = TICK_NS / 1e9
        goal = self._goal.copy()
        goal[:, :3] = np.clip(goal[:, :3], self._low, self._high)
        walls = (goal != self._goal).any()
        delta = pose_difference(self._setpoint, goal, "base")
        step = np.clip(delta, -dt * self._speed, dt * self._speed)
        before = self._setpoint
        self._setpoint = pose_add(before, step, "base")
        self._twist = step / dt
        short = np.abs(delta - step).max() > 1e-9
        self._stage = (
            LimitStage.WORKSPACE if walls else LimitStage.VELOCITY if short else LimitStage.NONE
        )
        if self._world is not None:
            for name, arm in self._held.items():
                self._world.poses[name][:3] += self._setpoint[arm, :3] - before[arm, :3]

    def _grasp(self) -> None:
        if self._world is None:
            return
        for arm in range(self._n):
            for name, pose in self._world.poses.items():
                near = np.linalg.norm(pose[:3] - self._setpoint[arm, :3]) < GRASP
                if self._width[arm] >= GRIPPER[1] / 2:
                    if self._held.get(name) == arm:
                        del self._held[name]
                elif near:
                    self._held.setdefault(name, arm)

    def _check_poses(self, pose: Array) -> None:
        check_array("pose", pose, (self._n, 7))
        norms = np.linalg.norm(pose[:, 3:], axis=1)
        if np.abs(norms - 1.0).max() > 1e-6:
            raise SpecError(f"pose: quaternions of length {norms}; valid: 1")

    def _require(self, *, fault: bool) -> None:
        if not self._connected:
            raise RobotFault("the robot is not connected; call connect() first")
        if fault and self._fault:
            raise RobotFault(f"{self._fault}; a person re-arms")


class FakeTask:
    """Bring the first arm to an object; success within `tolerance` m. Reward 1 then, else 0."""

    name = "fake"

    def __init__(self, max_steps: int = 30, tolerance: float = 0.01, n_arms: int = 1) -> None:
        self.max_steps = max_steps
        self.scene = Scene(mjcf='<body name="goal"/>', objects=("goal",))
        self._tolerance = tolerance
        self.criteria: dict[str, float | str] = {"tolerance": tolerance}
        self._n = n_arms

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        return (("goal", 3),)

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        world.set_object_pose("goal", np.array([*rng.uniform(0.3, 0.5, 3), 1.0, 0.0, 0.0, 0.0]))
        start = np.tile([0.5, 0.0, 0.3, *GRIPPER_DOWN], (self._n, 1))
        return start, np.full(self._n, GRIPPER[1])

    def observe(self, world: World, state: RobotState) -> Array:
        return (world.object_pose("goal")[:3] - state.pose[0, :3]).astype(np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        distance = float(np.linalg.norm(world.object_pose("goal")[:3] - state.pose[0, :3]))
        success = distance < self._tolerance
        return Outcome(float(success), success, success, {"distance": distance})

    def expert(self, world: World, state: RobotState) -> Command:
        goal = state.setpoint.copy()
        goal[0, :3] = world.object_pose("goal")[:3]
        return CartesianCommand(goal, state.gripper_setpoint, state.stamp_ns)


def fake_bundle(cameras: Sequence[str] = (), **robot: object) -> Bundle:
    """A FakeRobot in a FakeWorld; further arguments go to the robot."""
    world = FakeWorld(cameras)
    return Bundle(FakeRobot(world, **robot), world)  # type: ignore[arg-type]
