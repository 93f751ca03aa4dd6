"""Drawer-open: take a drawer by its handle and pull it open."""

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
    pose_down,
    uniform,
)
from robot_rl.errors import ConfigError
from robot_rl.geometry import quat_from_yaw, quat_rotate
from robot_rl.interfaces import World
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState, Scene

SCALE = 0.1
"""m for a feature of 1."""
TRAVEL = 0.18
"""Longest way of the drawer, m."""
CLEAR = 0.06
"""Height of the tool centre point over the handle's at which the fingers pass above it, m."""
POST = 0.016
"""Width of the handle's post, m."""
APART = '<contact><exclude body1="cabinet" body2="drawer"/></contact>'


class DrawerOpen:
    """Success: the drawer open by `opening`. Reward 1 then, else 0."""

    name = "drawer_open"

    def __init__(
        self,
        max_steps: int = 60,
        opening: float = 0.15,
        cabinet_x: Range = (0.58, 0.63),
        cabinet_y: Range = (-0.08, 0.08),
        cabinet_yaw: Range = (-0.2, 0.2),
        ajar: Range = (0.0, 0.01),
        start: tuple[float, float, float] = (0.42, 0.0, 0.2),
        start_noise: float = 0.02,
    ) -> None:
        """Positions, openings and noise (uniform, per axis) in m, base frame; yaw in rad."""
        check_ranges(
            self.name,
            cabinet_x=cabinet_x,
            cabinet_y=cabinet_y,
            cabinet_yaw=cabinet_yaw,
            ajar=ajar,
        )
        if not ajar[1] < opening <= TRAVEL:
            raise ConfigError(
                f"drawer_open: opening={opening}; valid: above ajar={ajar[1]}, at most {TRAVEL} m"
            )
        self.max_steps = check_steps(self.name, max_steps)
        self._opening = opening
        self.criteria: dict[str, float | str] = {"opening": opening}
        self._cabinet = (cabinet_x, cabinet_y, cabinet_yaw, ajar)
        self._start = np.array(start)
        self._noise = start_noise
        self.scene = Scene(
            mjcf=cabinet(),
            extras=APART,
            objects=("cabinet", "handle"),
            joints=("drawer",),
        )

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """Handle seen from the end effector, opening (0.1 m units); sin, cos of its heading."""
        return (("handle", 3), ("opening", 1), ("handle_heading", 2))

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y, yaw, ajar = uniform(rng, *self._cabinet)
        world.set_object_pose("cabinet", np.array([x, y, 0.0, *quat_from_yaw(yaw)]))
        world.set_joint_position("drawer", float(ajar))
        start = self._start + rng.uniform(-self._noise, self._noise, 3)
        return pose_down(start, 0.0)[None], np.array([0.08])

    def observe(self, world: World, state: RobotState) -> Array:
        handle = world.object_pose("handle")
        x, y, z = (in_tcp(state, handle[:3]) / SCALE).tolist()
        turn = heading(handle[3:]) - heading(state.pose[0, 3:])
        opening = world.joint_position("drawer") / SCALE
        return np.array([x, y, z, opening, math.sin(turn), math.cos(turn)], np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        opening = world.joint_position("drawer")
        success = opening >= self._opening
        return Outcome(float(success), success, success, {"opening": opening})

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        """Hover over the handle and align, descend, close, pull."""
        handle = world.object_pose("handle")
        tcp, width = state.pose[0, :3], float(state.gripper_width[0])
        yaw = heading(handle[3:])
        aside = math.hypot(*(handle[:2] - tcp[:2]))
        turned = abs(heading(state.pose[0, 3:]) - yaw)
        goal, grip = handle[:3].copy(), 0.08
        if aside < 0.015 and abs(float(tcp[2] - handle[2])) < 0.015:
            grip = 0.0
            if width < POST + 0.006:
                goal += quat_rotate(handle[3:], np.array([-self._pull(world, state), 0.0, 0.0]))
        elif aside > 0.01 or turned > 0.1:
            goal[2] = handle[2] + max(CLEAR, min(float(tcp[2] - handle[2]), CLEAR + aside))
        return CartesianCommand(pose_down(goal, yaw)[None], np.array([grip]), state.stamp_ns)

    def _pull(self, world: World, state: RobotState) -> float:
        """How far ahead of the handle the expert pulls once it has it, m."""
        return 0.1


def cabinet(more: str = "") -> str:
    """MJCF of the cabinet with its drawer; `more` bodies are fixed to it."""
    return f"""
<body name="cabinet">
  <geom type="box" size=".11 .005 .07" pos=".11 .115 .07" rgba=".55 .4 .28 1"/>
  <geom type="box" size=".11 .005 .07" pos=".11 -.115 .07" rgba=".55 .4 .28 1"/>
  <geom type="box" size=".005 .12 .07" pos=".215 0 .07" rgba=".55 .4 .28 1"/>
  <geom type="box" size=".11 .12 .005" pos=".11 0 .135" rgba=".6 .45 .32 1"/>
  <body name="drawer">
    <joint name="drawer" type="slide" axis="-1 0 0" range="0 {TRAVEL}" damping="8"
      frictionloss="2" armature=".1"/>
    <geom type="box" size=".008 .108 .055" pos="0 0 .07" mass=".3" rgba=".75 .6 .42 1"/>
    <geom type="box" size=".1 .1 .004" pos=".1 0 .02" mass=".2" rgba=".75 .6 .42 1"/>
    <body name="handle" pos="-.055 0 .07">
      <geom type="box" size=".008 {POST / 2} .035" mass=".03" rgba=".2 .2 .25 1"/>
      <geom type="box" size=".02 .006 .006" pos=".027 0 0" mass=".02" rgba=".2 .2 .25 1"/>
    </body>
  </body>{more}
</body>
"""
