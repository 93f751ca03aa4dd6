"""Peg-insert: put a square peg, held in the gripper, into a square hole with 1 mm of play."""

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
    nearest_heading,
    pose_down,
    square_ring,
    uniform,
)
from robot_rl.errors import ConfigError
from robot_rl.geometry import matrix_from_quat, quat_from_yaw
from robot_rl.interfaces import World
from robot_rl.types import Array, CartesianCommand, Outcome, RobotState, Scene

COARSE, FINE = 0.1, 0.005
"""m for a feature of 1, and for one of tanh(1): the play is a fifth of the latter."""
HALF = 0.01
"""Half the peg's edge, m."""
LENGTH = 0.06
"""From the tool centre point to the peg's tip, m."""
HEIGHT = 0.03
"""Of the block with the hole, which goes through to the table, m."""
OUTER = 0.045
"""Half the block's edge, m."""
QUARTER = math.pi / 2
HOVER, ENTERED = 0.005, -0.0015
"""Heights of the tip above the rim, m: where the expert aligns it, and where it is inside."""
ALIGNED, SLIDING, DRIFT = 2e-3, 5e-3, 0.02
"""How far from the hole's centre the expert begins to descend and gives up at the rim, m, and how
fast it may move sideways, m/s: at the rim the springs draw the tip to the centre."""
PRESS = 0.003
"""How far the expert's goal is ahead while it searches in contact, m: light, the tip slides."""
SPIRAL_TURN = 1.0
"""Time of a turn of the expert's search, s."""


class PegInsert:
    """Success: the tip `depth` below the block's top, inside the hole. Reward 1 then, else 0.

    The peg is fixed to the hand as a tool, its fingers around it; opening them does not drop it.
    """

    name = "peg_insert"

    def __init__(
        self,
        max_steps: int = 80,
        clearance: float = 0.001,
        depth: float = 0.02,
        hole_x: Range = (0.45, 0.55),
        hole_y: Range = (-0.06, 0.06),
        hole_yaw: Range = (-0.2, 0.2),
        hole_noise: float = 0.0,
        start: tuple[float, float, float] = (0.5, 0.0, 0.16),
        start_noise: float = 0.02,
    ) -> None:
        """Positions and noise (uniform, per axis) in m, base frame; yaw in rad.

        clearance: from peg to wall on either side when centred. hole_noise: error of the observed
        hole, in x and y, drawn at each reset; the expert sees no more than the observation.
        """
        check_ranges(self.name, hole_x=hole_x, hole_y=hole_y, hole_yaw=hole_yaw)
        if not 3e-4 < clearance <= 1e-3:
            raise ConfigError(
                f"peg_insert: clearance={clearance}; valid: above 0.0003, at most 0.001 m"
            )
        if not 0.0 < depth < HEIGHT:
            raise ConfigError(f"peg_insert: depth={depth}; valid: above 0, below {HEIGHT} m")
        if not 0.0 <= hole_noise <= 0.01:
            raise ConfigError(f"peg_insert: hole_noise={hole_noise}; valid: 0 to 0.01 m")
        self.max_steps = check_steps(self.name, max_steps)
        self._clearance, self._depth = clearance, depth
        self.criteria: dict[str, float | str] = {"depth": depth, "clearance": clearance}
        self._hole = (hole_x, hole_y, hole_yaw)
        self._hole_noise = hole_noise
        self._start = np.array(start)
        self._noise = start_noise
        self._error = np.zeros(2)
        self.scene = Scene(mjcf=_block(HALF + clearance), objects=("hole",), held=_peg())

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """Hole's rim seen from the tip along the hand's axes, in 0.1 m and as tanh of 5 mm; the
        tip's depth (cm); cos, sin of 4 x the yaw between them (a quarter turn changes nothing)."""
        return (("hole", 3), ("hole_fine", 3), ("depth", 1), ("hole_yaw", 2))

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        x, y, yaw = uniform(rng, *self._hole)
        world.set_object_pose("hole", np.array([x, y, 0.0, *quat_from_yaw(yaw)]))
        start = self._start + rng.uniform(-self._noise, self._noise, 3)
        self._error = rng.uniform(-self._hole_noise, self._hole_noise, 2)
        return pose_down(start, 0.0)[None], np.array([2 * HALF])

    def observe(self, world: World, state: RobotState) -> Array:
        hole, yaw = self._observed(world)
        hand = state.pose[0]
        ahead = matrix_from_quat(hand[3:]).T @ (hole - tip_of(hand))
        turn = 4.0 * (yaw - heading(hand[3:]))
        depth = (HEIGHT - float(tip_of(hand)[2])) / 0.01
        return np.concatenate(
            [ahead / COARSE, np.tanh(ahead / FINE), [depth, math.cos(turn), math.sin(turn)]]
        ).astype(np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        hole = world.object_pose("hole")
        ahead = tip_of(state.pose[0]) - hole[:3]
        offset = float(np.abs(matrix_from_quat(hole[3:]).T @ ahead)[:2].max())
        depth = HEIGHT - float(ahead[2])
        # Beside the block the tip may be as deep; a tenth of a millimetre is for the contacts.
        success = depth >= self._depth and offset <= self._clearance + 1e-4
        return Outcome(float(success), success, success, {"depth": depth, "offset": offset})

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        """Hover over the hole and align, descend, search in a spiral while blocked at the rim."""
        hole, yaw = self._observed(world)
        hand = state.pose[0]
        tip = tip_of(hand)
        yaw = nearest_heading(yaw, QUARTER)
        search = 1.5 * self._hole_noise
        aside = math.hypot(*(hole[:2] - tip[:2]))
        turned = abs(heading(hand[3:]) - yaw)
        drift = math.hypot(*state.twist[0, :2])
        above = float(tip[2]) - HEIGHT
        goal = hole.copy()
        if above < ENTERED:
            goal[:2], goal[2] = tip[:2], HEIGHT - self._depth - 0.005
        elif aside > search + (SLIDING if above < HOVER - PRESS else ALIGNED) or (
            above > HOVER - PRESS and (turned > 0.03 or drift > DRIFT)
        ):
            goal[2] = HEIGHT + max(HOVER, min(above, aside))
        else:
            goal[:2] += self._spiral(state.stamp_ns, search)
            goal[2] = tip[2] - PRESS
        goal[2] += LENGTH
        return CartesianCommand(pose_down(goal, yaw)[None], np.array([2 * HALF]), state.stamp_ns)

    def _observed(self, world: World) -> tuple[Array, float]:
        """Centre of the hole's rim (3,) m and heading rad, as the agent observes it."""
        hole = world.object_pose("hole")
        rim = hole[:3] + np.array([*self._error, HEIGHT])
        return rim, heading(hole[3:])

    def _spiral(self, stamp_ns: int, radius: float) -> Array:
        """Offset (2,) m at a time: out to `radius`, a clearance a turn, again and again.

        By the robot's clock, so that the expert needs no memory.
        """
        turns = 1e-9 * stamp_ns / SPIRAL_TURN
        out = min(self._clearance * (turns % (1.0 + radius / self._clearance)), radius)
        angle = 2.0 * math.pi * turns
        return out * np.array([math.cos(angle), math.sin(angle)])


def tip_of(hand: Array) -> Array:
    """Centre (3,) m of the peg's lower end, for a pose (7,) of the tool centre point."""
    tip: Array = hand[:3] + LENGTH * matrix_from_quat(hand[3:])[:, 2]
    return tip


def _peg() -> str:
    half, middle = (LENGTH + 0.02) / 2, (LENGTH - 0.02) / 2
    return (
        '<body name="peg" gravcomp="1">'
        f'<geom name="peg" type="box" size="{HALF} {HALF} {half}" pos="0 0 {middle}" mass="0.1"'
        f' rgba="0.85 0.55 0.1 1" {STEEL}/></body>'
    )


def _block(inner: float) -> str:
    walls = square_ring("hole", inner, OUTER, HEIGHT, 'rgba="0.25 0.45 0.7 1"')
    return f'<body name="hole" pos="0.5 0 0">{walls}</body>'
