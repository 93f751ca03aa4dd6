"""Push-T: push a T-shaped block with a vertical rod until it covers its target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robot_rl.envs.task_tools import (
    STEEL,
    Range,
    check_ranges,
    check_steps,
    heading,
    in_tcp,
    pose_down,
    uniform,
)
from robot_rl.envs.tasks.push_t_planner import PushPlanner
from robot_rl.envs.tasks.push_t_shape import BAR, STEM, coverage, displacement, nearest, to_block
from robot_rl.errors import ConfigError, suggest
from robot_rl.geometry import quat_from_yaw
from robot_rl.interfaces import World
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState, Scene

SCALE = 0.1
"""m for a feature of 1."""
GAP_SCALE = 0.05
"""m for a distance to the outline of 1."""
HEIGHT = 0.03
"""Of the T, m."""
ROD_RADIUS, ROD_LENGTH = 0.01, 0.06
"""m; the length from the tool centre point to the tip."""
ROD_HEIGHT = 0.01
"""Of the tip above the table, m."""
APART = 0.03
"""Least distance between rod and T at the start, m."""
REWARDS = ("sparse", "coverage", "displacement")
BLOCK_CONTACT = 'friction="0.5 0.005 0.0001" condim="3" priority="1" solref="0.004 1"'
"""Sliding friction between T and table, and a contact that it stops in at once."""


class PushT:
    """Success: the T covers `success_coverage` of its target's area. Reward 1 then, else 0.

    The rod is fixed to the hand as a tool. The task is planar: `env.action.axes=[x,y]`, which
    `experiment=planar` sets, locks the rest; with all axes the agent may also lift and tilt it.
    """

    name = "push_t"

    def __init__(
        self,
        max_steps: int = 300,
        success_coverage: float = 0.9,
        reward: str = "sparse",
        block_x: Range = (0.42, 0.58),
        block_y: Range = (-0.12, 0.12),
        block_yaw: Range = (-math.pi, math.pi),
        target: tuple[float, float, float] = (0.5, 0.0, -math.pi / 4),
        rod_x: Range = (0.34, 0.64),
        rod_y: Range = (-0.24, 0.24),
    ) -> None:
        """Positions (uniform, at the centroid) in m, base frame; yaw in rad; target x, y, yaw.

        reward "coverage": coverage - 1 at each step, "displacement": minus the RMS distance of
        the T's points from where they should be, m; with either, finishing early is best.
        """
        check_ranges(
            self.name,
            block_x=block_x,
            block_y=block_y,
            block_yaw=block_yaw,
            rod_x=rod_x,
            rod_y=rod_y,
        )
        if not 0.0 < success_coverage <= 0.99:
            raise ConfigError(
                f"push_t: success_coverage={success_coverage}; valid: above 0, at most 0.99"
            )
        if reward not in REWARDS:
            raise ConfigError(f"push_t: reward='{reward}'; {suggest(reward, REWARDS)}")
        self.max_steps = check_steps(self.name, max_steps)
        self._enough, self._reward = success_coverage, reward
        self.criteria: dict[str, float | str] = {
            "success_coverage": success_coverage,
            "reward": reward,
        }
        self._block, self._rod = (block_x, block_y, block_yaw), (rod_x, rod_y)
        self._target = np.array(target, np.float64)
        self._planner = PushPlanner(self._target, ROD_RADIUS)
        self.scene = Scene(
            mjcf=_block_body() + _target_body(self._target), objects=("block",), held=_rod_body()
        )

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """Seen along the hand's axes, 0.1 m units: the T's and the target's centre from the rod,
        and the way from one to the other; cos, sin of the T's heading and of what it lacks.

        Along the T's axes: the rod from its centre, the way to the target; how far the rod's axis
        is from the outline, in 0.05 m, and the outward normal where it is nearest. A network would
        have to multiply to find these: policies cloned from 200 plans with and without them
        succeed in 6 and 2 of 30.
        """
        hand = (("block", 2), ("target", 2), ("lack", 2), ("block_yaw", 2), ("lack_yaw", 2))
        return (*hand, ("rod", 2), ("way", 2), ("gap", 1), ("outward", 2))

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        block = uniform(rng, *self._block)
        while coverage(block, self._target) > 0.5:
            block = uniform(rng, *self._block)
        rod = uniform(rng, *self._rod)
        while nearest(to_block(block, rod)[None]).distance[0] < ROD_RADIUS + APART:
            rod = uniform(rng, *self._rod)
        x, y, yaw = block.tolist()
        world.set_object_pose("block", np.array([x, y, 0.0, *quat_from_yaw(yaw)]))
        self._planner.reset()
        start = np.array([*rod, ROD_HEIGHT + ROD_LENGTH])
        return pose_down(start, 0.0)[None], np.array([2 * ROD_RADIUS])

    def observe(self, world: World, state: RobotState) -> Array:
        x, y, yaw = planar(world.object_pose("block")).tolist()
        to_x, to_y, to_yaw = self._target.tolist()
        height = float(state.pose[0, 2])
        block = in_tcp(state, np.array([x, y, height]))[:2] / SCALE
        target = in_tcp(state, np.array([to_x, to_y, height]))[:2] / SCALE
        seen, lack = yaw - heading(state.pose[0, 3:]), to_yaw - yaw
        turns = [math.cos(seen), math.sin(seen), math.cos(lack), math.sin(lack)]
        pose, centre = np.array([x, y, yaw]), np.array([to_x, to_y])
        rod, way = to_block(pose, np.stack([state.pose[0, :2], centre]))
        off = nearest(rod[None])
        parts = [block, target, target - block, turns, rod / SCALE, way / SCALE]
        parts += [off.distance / GAP_SCALE, off.normal[0]]
        return np.concatenate(parts).astype(np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        block = planar(world.object_pose("block"))
        covered = coverage(block, self._target)
        success = covered >= self._enough
        error = float(displacement(block, self._target))
        rewards = {"sparse": float(success), "coverage": covered - 1.0, "displacement": -error}
        figures = {"coverage": covered, "displacement": error}
        return Outcome(rewards[self._reward], success, success, figures)

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        """The planner's next position of the rod; the hand upright at its height."""
        block = planar(world.object_pose("block"))
        rod = self._planner.goal(block, state.pose[0, :2])
        goal = pose_down(np.array([*rod, ROD_HEIGHT + ROD_LENGTH]), 0.0)
        return CartesianCommand(goal[None], state.gripper_setpoint, state.stamp_ns)


def planar(pose: Array) -> Array:
    """(x, y, yaw) of a pose (7,)."""
    return np.array([pose[0], pose[1], heading(pose[3:])])


def _box(rectangle: tuple[float, float, float, float], height: float, attributes: str) -> str:
    low_x, low_y, high_x, high_y = rectangle
    return (
        f'<geom type="box" pos="{(low_x + high_x) / 2} {(low_y + high_y) / 2} {height / 2}"'
        f' size="{(high_x - low_x) / 2} {(high_y - low_y) / 2} {height / 2}" {attributes}/>'
    )


def _block_body() -> str:
    looks = f'rgba="0.35 0.4 0.85 1" density="300" {BLOCK_CONTACT}'
    boxes = _box(BAR, HEIGHT, looks) + _box(STEM, HEIGHT, looks)
    return f'<body name="block" pos="0.5 0 0"><freejoint/>{boxes}</body>'


def _target_body(target: Array) -> str:
    x, y, yaw = target.tolist()
    quat = " ".join(map(str, quat_from_yaw(yaw)))
    looks = 'rgba="0.3 0.75 0.35 1" contype="0" conaffinity="0"'
    boxes = _box(BAR, 0.001, looks) + _box(STEM, 0.001, looks)
    return f'<body name="target" pos="{x} {y} 0" quat="{quat}">{boxes}</body>'


def _rod_body() -> str:
    half, middle = (ROD_LENGTH + 0.02) / 2, (ROD_LENGTH - 0.02) / 2
    return (
        '<body name="rod" gravcomp="1">'
        f'<geom name="rod" type="cylinder" size="{ROD_RADIUS} {half}" pos="0 0 {middle}"'
        f' mass="0.1" rgba="0.85 0.55 0.1 1" {STEEL}/></body>'
    )
