"""Reach: bring the tool centre point to a random point in the air."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.envs.task_tools import Range, check_ranges, check_steps, in_tcp, pose_down, uniform
from robot_rl.errors import ConfigError
from robot_rl.interfaces import World
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState, Scene

SCALE = 0.1
"""m for a feature of 1."""


class Reach:
    """Success: the tool centre point within `tolerance` of the target. Reward 1 then, else 0."""

    name = "reach"

    def __init__(
        self,
        max_steps: int = 40,
        tolerance: float = 0.015,
        target_x: Range = (0.4, 0.6),
        target_y: Range = (-0.2, 0.2),
        target_z: Range = (0.08, 0.35),
        start: tuple[float, float, float] = (0.45, 0.0, 0.25),
        start_noise: float = 0.03,
    ) -> None:
        """Positions and noise (uniform, per axis) in m, base frame."""
        check_ranges(self.name, target_x=target_x, target_y=target_y, target_z=target_z)
        if not tolerance > 0.0:
            raise ConfigError(f"reach: tolerance={tolerance}; valid: above 0 m")
        self.max_steps = check_steps(self.name, max_steps)
        self._tolerance = tolerance
        self.criteria: dict[str, float | str] = {"tolerance": tolerance}
        self._target = (target_x, target_y, target_z)
        self._start = np.array(start)
        self._noise = start_noise
        self.scene = Scene(
            mjcf=f'<body name="target"><geom name="target" type="sphere" size="{tolerance}"'
            ' contype="0" conaffinity="0" rgba="0.1 0.7 0.2 1"/></body>',
            objects=("target",),
        )

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """The target seen from the end effector, 0.1 m units."""
        return (("target", 3),)

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        start = self._start + rng.uniform(-self._noise, self._noise, 3)
        target = uniform(rng, *self._target)
        # A target already reached would make an episode of no steps.
        while np.linalg.norm(target - start) < 4 * self._tolerance:
            target = uniform(rng, *self._target)
        world.set_object_pose("target", np.array([*target, 1.0, 0.0, 0.0, 0.0]))
        return pose_down(start, 0.0)[None], np.array([0.08])

    def observe(self, world: World, state: RobotState) -> Array:
        target = world.object_pose("target")[:3]
        return (in_tcp(state, target) / SCALE).astype(np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        distance = float(np.linalg.norm(world.object_pose("target")[:3] - state.pose[0, :3]))
        success = distance < self._tolerance
        return Outcome(float(success), success, success, {"distance": distance})

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        goal = pose_down(world.object_pose("target")[:3], 0.0)
        return CartesianCommand(goal[None], state.gripper_setpoint, state.stamp_ns)
