"""Pick-cube: grasp a 4 cm cube on the table and lift it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robot_rl.envs.task_tools import (
    Range,
    check_ranges,
    check_steps,
    heading,
    in_tcp,
    nearest_heading,
    pose_down,
    uniform,
)
from robot_rl.errors import ConfigError
from robot_rl.geometry import quat_from_yaw
from robot_rl.interfaces import World
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState, Scene

SCALE = 0.1
"""m for a feature of 1."""
HALF = 0.02
"""Half the cube's edge, m."""
HELD = 0.045
"""A cube whose centre is nearer than this to the tool centre point counts as held, m."""
QUARTER = math.pi / 2


class PickCube:
    """Success: the cube held, `lift` above its rest. Reward 1 then, else 0."""

    name = "pick_cube"

    def __init__(
        self,
        max_steps: int = 60,
        lift: float = 0.1,
        cube_x: Range = (0.42, 0.58),
        cube_y: Range = (-0.1, 0.1),
        cube_yaw: Range = (-math.pi / 4, math.pi / 4),
        start: tuple[float, float, float] = (0.5, 0.0, 0.18),
        start_noise: float = 0.02,
    ) -> None:
        """Positions and noise (uniform, per axis) in m, base frame; yaw in rad."""
        check_ranges(self.name, cube_x=cube_x, cube_y=cube_y, cube_yaw=cube_yaw)
        if not 0.0 < lift <= 0.4:
            raise ConfigError(f"pick_cube: lift={lift}; valid: above 0, at most 0.4 m")
        self.max_steps = check_steps(self.name, max_steps)
        self._lift = lift
        self.criteria: dict[str, float | str] = {"lift": lift}
        self._cube = (cube_x, cube_y, cube_yaw)
        self._start = np.array(start)
        self._noise = start_noise
        self.scene = Scene(
            mjcf=f'<body name="cube" pos="0.5 0 {HALF}"><freejoint/>'
            f'<geom name="cube" type="box" size="{HALF} {HALF} {HALF}" mass="0.05"'
            ' friction="1 0.01 0.0001" rgba="0.85 0.2 0.15 1"/></body>',
            objects=("cube",),
        )

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """Cube seen from the end effector and its height (0.1 m units); cos, sin of 4 x its yaw."""
        return (("cube", 3), ("cube_height", 1), ("cube_yaw", 2))

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y, yaw = uniform(rng, *self._cube)
        world.set_object_pose("cube", np.array([x, y, HALF, *quat_from_yaw(yaw)]))
        start = self._start + rng.uniform(-self._noise, self._noise, 3)
        return pose_down(start, 0.0)[None], np.array([0.08])

    def observe(self, world: World, state: RobotState) -> Array:
        cube = world.object_pose("cube")
        x, y, z = (in_tcp(state, cube[:3]) / SCALE).tolist()
        # The hand looks down, so its yaw runs against the cube's; a quarter turn changes nothing.
        turn = 4.0 * (heading(cube[3:]) - heading(state.pose[0, 3:]))
        height = (float(cube[2]) - HALF) / SCALE
        return np.array([x, y, z, height, math.cos(turn), math.sin(turn)], np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        cube = world.object_pose("cube")[:3]
        height = float(cube[2]) - HALF
        held = float(np.linalg.norm(cube - state.pose[0, :3])) < HELD
        success = held and height >= self._lift
        return Outcome(float(success), success, success, {"height": height})

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        """Hover over the cube and align, descend, close, lift."""
        cube = world.object_pose("cube")
        tcp, width = state.pose[0, :3], float(state.gripper_width[0])
        yaw = nearest_heading(heading(cube[3:]), QUARTER)
        aside = math.hypot(*(cube[:2] - tcp[:2]))
        turned = abs(heading(state.pose[0, 3:]) - yaw)
        above = float(tcp[2] - cube[2])
        near = aside < 0.012 and abs(above) < 0.012
        goal, grip = cube[:3].copy(), 0.08
        if near:
            grip = 0.0
            if width < 2 * HALF + 0.005:
                goal[2] = HALF + self._lift + 0.05
                goal[:2] = tcp[:2]
        elif aside > 0.01 or turned > 0.15:
            goal[2] = max(cube[2] + 0.05, min(float(tcp[2]), cube[2] + aside))
        return CartesianCommand(pose_down(goal, yaw)[None], np.array([grip]), state.stamp_ns)
