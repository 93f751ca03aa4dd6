"""Nut-assembly: take a square nut by its handle and thread it on a square peg."""

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
"""m for a feature of 1, and for one of tanh(1)."""
HALF, TALL = 0.012, 0.06
"""Half the peg's edge and its height, m."""
OUTER, THICK = 0.03, 0.024
"""Half the nut's outer edge and its height, m."""
HANDLE = (0.03, 0.009, 0.01)
"""Half the handle's edges, m: along, across, up. Either side of the nut may lie on the table."""
GRASP = OUTER + 0.03
"""From the nut's axis to where the handle is grasped, m."""
QUARTER = math.pi / 2
TURN = 0.85
"""Largest heading that the expert asks of the hand, rad; the safety layer allows 0.9."""
UPRIGHT = 0.98
"""Least |cosine| between the nut's axis and the vertical of a nut that is threaded."""
LIFT, HOVER, PRESS = 0.02, 0.005, 0.004
"""How far over the peg's top the expert carries the nut's lower face, m, where it aligns it, and
how far its goal is ahead while it feels its way."""
ALIGNED, SLIDING, DRIFT = 1.5e-3, 6e-3, 0.03
"""How far from the peg's axis the expert begins to lower and gives up at the top, m, and how fast
it may move then, m/s: at the top the springs draw the nut to the axis."""


class NutAssembly:
    """Success: the nut round the peg, `down` or less above the table. Reward 1
    then, else 0.

    After robosuite's NutAssemblySquare (robomimic's "square"), with a play of `clearance` and
    shapes of this project. The nut lies flat at a random place and yaw, as far as the safety layer
    lets the hand turn.
    """

    name = "nut_assembly"

    def __init__(
        self,
        max_steps: int = 120,
        clearance: float = 0.002,
        down: float = 0.005,
        nut_x: Range = (0.4, 0.5),
        nut_y: Range = (-0.18, -0.02),
        nut_yaw: Range = (-0.7, 0.7),
        peg_x: Range = (0.44, 0.5),
        peg_y: Range = (0.1, 0.16),
        peg_yaw: Range = (-0.1, 0.1),
        start: tuple[float, float, float] = (0.5, 0.0, 0.16),
        start_noise: float = 0.02,
    ) -> None:
        """Positions and noise (uniform, per axis) in m, base frame; yaw in rad.

        clearance: from peg to nut on either side when centred. The nut's place is its axis; its
        handle points along its heading.
        """
        check_ranges(
            self.name,
            nut_x=nut_x,
            nut_y=nut_y,
            nut_yaw=nut_yaw,
            peg_x=peg_x,
            peg_y=peg_y,
            peg_yaw=peg_yaw,
        )
        if not 5e-4 <= clearance <= 5e-3:
            raise ConfigError(f"nut_assembly: clearance={clearance}; valid: 0.0005 to 0.005 m")
        if not 0.0 < down < TALL - THICK:
            raise ConfigError(
                f"nut_assembly: down={down}; valid: above 0, below {TALL - THICK:.3f} m"
            )
        self.max_steps = check_steps(self.name, max_steps)
        self._clearance, self._down = clearance, down
        self.criteria: dict[str, float | str] = {"clearance": clearance, "down": down}
        self._nut, self._peg = (nut_x, nut_y, nut_yaw), (peg_x, peg_y, peg_yaw)
        self._start = np.array(start)
        self._noise = start_noise
        self.scene = Scene(
            mjcf=_nut(HALF + clearance) + _peg(), objects=("nut", "peg"), joints=(), held=""
        )

    @property
    def features(self) -> Sequence[tuple[str, int]]:
        """Where the handle is grasped, seen from the end effector (0.1 m units); sin, cos of its
        heading; height of the nut (0.1 m), its upward axis along the hand's x and y. The peg's top
        seen from the middle of the nut's lower face along the hand's axes, in 0.1 m and as tanh of
        5 mm; cos, sin of 4 x the yaw between them (a quarter turn changes nothing)."""
        nut = (("handle", 3), ("handle_heading", 2), ("nut_height", 1), ("nut_tilt", 2))
        return (*nut, ("peg", 3), ("peg_fine", 3), ("peg_yaw", 2))

    def reset(self, world: World, rng: np.random.Generator) -> tuple[Array, Array]:
        for name, ranges, rest in (("nut", self._nut, THICK / 2), ("peg", self._peg, 0.0)):
            x, y, yaw = uniform(rng, *ranges)
            world.set_object_pose(name, np.array([x, y, rest, *quat_from_yaw(yaw)]))
        start = self._start + rng.uniform(-self._noise, self._noise, 3)
        return pose_down(start, 0.0)[None], np.array([0.08])

    def observe(self, world: World, state: RobotState) -> Array:
        nut, peg = world.object_pose("nut"), world.object_pose("peg")
        hand = matrix_from_quat(state.pose[0, 3:])
        turn = heading(nut[3:]) - heading(state.pose[0, 3:])
        up = _upward(nut)
        ahead = hand.T @ (peg[:3] + np.array([0.0, 0.0, TALL]) - nut[:3] + THICK / 2 * up)
        lack = 4.0 * (heading(peg[3:]) - heading(nut[3:]))
        return np.concatenate(
            [
                in_tcp(state, grasp_of(nut)) / COARSE,
                [math.sin(turn), math.cos(turn), float(nut[2] - THICK / 2) / COARSE],
                (hand.T @ up)[:2],
                ahead / COARSE,
                np.tanh(ahead / FINE),
                [math.cos(lack), math.sin(lack)],
            ]
        ).astype(np.float32)

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        nut, peg = world.object_pose("nut"), world.object_pose("peg")
        axes = matrix_from_quat(nut[3:])
        offset = float(np.abs(axes.T @ (peg[:3] - nut[:3]))[:2].max())
        height = float(nut[2]) - THICK / 2
        # Beside the peg the nut cannot be so near; 2 mm are for its tilt.
        round_peg = offset <= self._clearance + 2e-3 and abs(axes[2, 2]) >= UPRIGHT
        success = round_peg and height <= self._down
        return Outcome(float(success), success, success, {"height": height, "offset": offset})

    def expert(self, world: World, state: RobotState) -> CartesianCommand:
        """Hover over the handle and align, descend, close, lift; over the peg align, then lower.

        Takes a dropped nut again.
        """
        nut, hand = world.object_pose("nut"), state.pose[0]
        grasp, width = grasp_of(nut), float(state.gripper_width[0])
        yaw = _reachable(nearest_heading(heading(nut[3:]), math.pi))
        aside = math.hypot(*(grasp[:2] - hand[:2]))
        turned = abs(heading(hand[3:]) - yaw)
        goal, grip = grasp.copy(), 0.08
        if aside < 0.015 and abs(float(hand[2] - grasp[2])) < 0.012:
            grip = 0.0
            if width < 2.0 * HANDLE[1] + 0.004:
                goal, yaw = self._carry(nut, world.object_pose("peg"), state)
        elif aside > 0.008 or turned > 0.1:
            goal[2] = max(grasp[2] + 0.05, min(float(hand[2]), grasp[2] + aside))
        return CartesianCommand(pose_down(goal, yaw)[None], np.array([grip]), state.stamp_ns)

    def _carry(self, nut: Array, peg: Array, state: RobotState) -> tuple[Array, float]:
        """Where the hand should go, (3,) m and heading rad, with the nut in it."""
        hand = state.pose[0]
        at = heading(hand[3:])
        lack = math.remainder(heading(peg[3:]) - heading(nut[3:]), QUARTER)
        yaw = _reachable(at + lack)
        way = peg[:2] - nut[:2]
        aside = math.hypot(*way)
        above = float(nut[2]) - THICK / 2 - TALL
        cos, sin = math.cos(yaw - at), math.sin(yaw - at)
        lever = hand[:2] - nut[:2]
        turned = np.array([cos * lever[0] - sin * lever[1], sin * lever[0] + cos * lever[1]])
        goal = np.array([*(peg[:2] + turned), float(hand[2])])
        drift = math.hypot(*state.twist[0, :2])
        if above < -2e-3 and aside < self._clearance + 3e-3:
            goal[2] -= 0.02
        elif above < HOVER - 0.5 * PRESS and aside < SLIDING:
            goal[2] -= PRESS
        elif above < HOVER + PRESS and aside < ALIGNED and abs(lack) < 0.04 and drift < DRIFT:
            goal[2] -= PRESS + above
        elif aside > 0.02 and above < 0.5 * LIFT:
            goal[:2], yaw = hand[:2], at
            goal[2] += LIFT - above
        else:
            goal[2] += max(HOVER, min(LIFT, aside)) - above
        return goal, yaw


def grasp_of(nut: Array) -> Array:
    """Where the handle is taken (3,) m, for a pose (7,) of the nut."""
    at: Array = nut[:3] + matrix_from_quat(nut[3:]) @ np.array([GRASP, 0.0, 0.0])
    return at


def _upward(nut: Array) -> Array:
    """The nut's axis (3,), the end that points up."""
    axis = matrix_from_quat(nut[3:])[:, 2]
    up: Array = axis if axis[2] >= 0.0 else -axis
    return up


def _reachable(yaw: float) -> float:
    return min(max(yaw, -TURN), TURN)


def _nut(inner: float) -> str:
    """Origin in its middle, the handle along x."""
    x, y, z = HANDLE
    shade = 'rgba="0.75 0.6 0.2 1"'
    ring = square_ring("nut", inner, OUTER, THICK, f'density="2000" {shade}', -THICK / 2)
    return (
        f'<body name="nut" pos="0.5 -0.1 {THICK / 2}"><freejoint/>{ring}'
        f'<geom name="nut_handle" type="box" size="{x} {y} {z}" density="1000" {shade}'
        f' pos="{OUTER + x} 0 0"/></body>'
    )


def _peg() -> str:
    return (
        '<body name="peg" pos="0.5 0.12 0">'
        f'<geom name="peg" type="box" size="{HALF} {HALF} {TALL / 2}" pos="0 0 {TALL / 2}"'
        f' rgba="0.25 0.45 0.7 1" {STEEL}/></body>'
    )
