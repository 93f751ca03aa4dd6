"""Fakes that check what they are given: a kinematic robot, its world, a camera, a task.

They move nothing but numbers, so an environment, a driver process or a control loop is tested in
microseconds, and every contract that a real part would break on is checked on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.geometry import GRIPPER_DOWN
from robot_rl.interfaces import Bundle, World
from robot_rl.testing.fake_arm import GRIPPER, FakeRobot
from robot_rl.testing.fake_world import FakeCamera, FakeClock, FakeWorld
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState, Scene

__all__ = [
    "FakeCamera",
    "FakeClock",
    "FakeRobot",
    "FakeTask",
    "FakeWorld",
    "fake_bundle",
]


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

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        goal = state.setpoint.copy()
        goal[0, :3] = world.object_pose("goal")[:3]
        return CartesianCommand(goal, state.gripper_setpoint, state.stamp_ns)


def fake_bundle(cameras: Sequence[str] = (), **robot: object) -> Bundle:
    """A FakeRobot in a FakeWorld; further arguments go to the robot."""
    world = FakeWorld(cameras)
    return Bundle(FakeRobot(world, **robot), world)  # type: ignore[arg-type]
