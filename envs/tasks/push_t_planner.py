"""The expert of push-T: chooses straight pushes by simulating them, one after another."""

from __future__ import annotations

import math

import numpy as np

from robot_rl.envs.tasks.push_t_model import Pushes, push
from robot_rl.envs.tasks.push_t_path import BLOCKED, Detour
from robot_rl.envs.tasks.push_t_shape import (
    EDGES,
    LENGTHS,
    NORMALS,
    OUTLINE,
    displacement,
    nearest,
    to_block,
    to_world,
    turned,
)
from robot_rl.types import Array

LOW, HIGH = np.array([0.295, -0.285]), np.array([0.685, 0.285])
"""Where the rod may go, m: the arm's workspace less a margin."""
SPACING = 0.012
"""Between places on the outline that pushes may start at, m."""
ANGLES = np.radians([-16.0, -8.0, 0.0, 8.0, 16.0])
"""Directions of new pushes against the outline's inward normal."""
STEERING = np.radians([-30.0, -15.0, -7.0, 0.0, 7.0, 15.0, 30.0])
"""Changes of direction of a push on its way."""
LONGEST = 0.12
"""m of one push."""
GAP = 0.008
"""Between rod and T before a push, m."""
NARROW, WIDE = 0.004, 0.014
"""Room between rod and T on a way around it: at least, and at its corners, m."""
TRAVEL = 0.02
"""m of error that a push must bring for each m of the rod's way."""
GAIN = 3e-4
"""m of error that a push on its way must still bring."""
LEAD = 0.02
"""How far a push's goal is ahead of the rod, m."""


class PushPlanner:
    """Greedy: of all starts, directions and lengths the push with the least error and way.

    planner.reset()
    goal = planner.goal(block, rod)         # each period: where the rod should go

    A push is steered on its way as long as it brings the T nearer; it is given up when the T or
    the rod is not where it should be, so that others may move them in between.
    """

    def __init__(self, target: Array, radius: float) -> None:
        """target (3,): where the T should be; radius of the rod, m."""
        self._target, self._radius = target, radius
        self._start, self._inward = _starts(radius + GAP)
        self.reset()

    def reset(self) -> None:
        """Forgets the push under way."""
        self._contact: tuple[Array, Array] | None = None
        self._heading: Array | None = None

    def goal(self, block: Array, rod: Array) -> Array:
        """(2,) for the rod, given the T's pose (3,) and the rod's place (2,), base frame."""
        off = nearest(to_block(block, rod)[None])
        distance = float(off.distance[0]) - self._radius
        if self._heading is not None:
            ahead = self._push_on(block, rod, distance, self._heading)
            if ahead is not None:
                return ahead
            self.reset()
        if distance < NARROW + 0.002:
            self._contact = None
            return rod + turned(off.normal[0], block[2]) * (WIDE - distance)
        detour = self._detour(block, rod)
        if self._contact is None:
            self._contact = self._choose(block, detour)
        start, direction = self._contact
        start = to_world(block, start)
        if np.linalg.norm(start - rod) < 0.003:
            self._heading = turned(direction, block[2])
            ahead = self._push_on(block, rod, distance, self._heading)
            return rod + LEAD * self._heading if ahead is None else ahead
        return detour.next(start)

    def _push_on(self, block: Array, rod: Array, distance: float, heading: Array) -> Array | None:
        """Where the push goes on to, or None when it is over."""
        if distance > GAP + 0.006:
            return None
        directions = turned(np.tile(heading, (len(STEERING), 1)), STEERING)
        pushes = self._simulate(np.tile(block, (len(STEERING), 1)), rod[None], directions)
        best = int((pushes.error + 1e-6 * np.abs(STEERING)).argmin())
        if pushes.error[best] > displacement(block, self._target) - GAIN:
            return None
        self._heading = directions[best]
        return rod + min(LEAD, float(pushes.length[best])) * self._heading

    def _choose(self, block: Array, detour: Detour) -> tuple[Array, Array]:
        """Start and direction of the best push, in the T's frame."""
        starts = np.repeat(self._start, len(ANGLES), axis=0)
        directions = turned(
            np.repeat(self._inward, len(ANGLES), axis=0), np.tile(ANGLES, len(self._start))
        )
        places = to_world(block, self._start)
        way = detour.lengths(places)
        outside = (places < LOW).any(1) | (places > HIGH).any(1)
        way = np.repeat(np.where(outside, BLOCKED, way), len(ANGLES))
        pushes = self._simulate(
            np.tile(block, (len(starts), 1)),
            to_world(block, starts),
            turned(directions, float(block[2])),
        )
        best = int((pushes.error + TRAVEL * (way + pushes.length)).argmin())
        return starts[best], directions[best]

    def _simulate(self, block: Array, rod: Array, direction: Array) -> Pushes:
        return push(
            block,
            np.broadcast_to(rod, direction.shape),
            direction,
            self._target,
            radius=self._radius,
            longest=LONGEST,
            bounds=(LOW, HIGH),
        )

    def _detour(self, block: Array, rod: Array) -> Detour:
        return Detour(
            block,
            rod,
            narrow=self._radius + NARROW,
            wide=self._radius + WIDE,
            bounds=(LOW, HIGH),
        )


def _starts(off: float) -> tuple[Array, Array]:
    """Places (n, 2) `off` m from the outline, and the inward normals there; none in the corners."""
    places, inwards = [], []
    for corner, edge, length, normal in zip(OUTLINE, EDGES, LENGTHS, NORMALS, strict=True):
        count = max(2, math.ceil(length / SPACING))
        for share in (np.arange(count) + 0.5) / count:
            place = corner + share * edge + off * normal
            if nearest(place[None]).distance[0] > off - 1e-6:
                places.append(place)
                inwards.append(-normal)
    return np.array(places), np.array(inwards)
