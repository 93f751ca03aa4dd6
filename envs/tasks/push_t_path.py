"""Ways for the rod around the T: straight lines past its corners, the shortest of them."""

from __future__ import annotations

import numpy as np

from robot_rl.envs.tasks.push_t_shape import CONVEX, NORMALS, OUTLINE, nearest, to_block, to_world
from robot_rl.types import Array

SAMPLES = np.linspace(0.0, 1.0, 25)
BLOCKED = 1e3
"""m, the length of a way that is not free."""


class Detour:
    """Shortest free ways from one place to many, for one pose of the T.

    Waypoints stand `wide` m off the T's convex corners; a way is free if it keeps `narrow` m off.
    """

    def __init__(
        self,
        block: Array,
        rod: Array,
        *,
        narrow: float,
        wide: float,
        bounds: tuple[Array, Array],
    ) -> None:
        """block (3,), rod (2,) in the base frame; waypoints outside `bounds` are not used."""
        self._block, self._narrow = block, narrow
        corners = OUTLINE[CONVEX] + wide * (NORMALS[CONVEX] + NORMALS[CONVEX - 1])
        corners = to_world(block, corners)
        inside = (corners >= bounds[0]).all(1) & (corners <= bounds[1]).all(1)
        self._corners = corners[inside]
        count = len(self._corners)
        legs = self._lengths(self._corners, self._corners)
        self._reach = self._lengths(rod[None], self._corners)[0]
        self._first = np.arange(count)
        for _ in range(count):
            through = self._reach[:, None] + legs
            via = through.argmin(axis=0)
            shorter = through[via, np.arange(count)] < self._reach - 1e-9
            self._reach = np.where(shorter, through[via, np.arange(count)], self._reach)
            self._first = np.where(shorter, self._first[via], self._first)
        self._rod = rod

    def lengths(self, goals: Array) -> Array:
        """(n,) m to goals (n, 2); BLOCKED or more where there is no free way."""
        direct = self._lengths(self._rod[None], goals)[0]
        if not len(self._corners):
            return direct
        around = (self._reach[:, None] + self._lengths(self._corners, goals)).min(axis=0)
        shortest: Array = np.minimum(direct, around)
        return shortest

    def next(self, goal: Array) -> Array:
        """(2,) where to go first for a goal (2,): the goal itself, or a corner on the way."""
        direct = self._lengths(self._rod[None], goal[None])[0, 0]
        if not len(self._corners):
            return goal
        around = self._reach + self._lengths(self._corners, goal[None])[:, 0]
        best = int(around.argmin())
        if direct <= around[best]:
            return goal
        corner: Array = self._corners[self._first[best]]
        return corner

    def _lengths(self, starts: Array, ends: Array) -> Array:
        """(n, m) m of straight lines, BLOCKED where they come too near to the T."""
        way = ends[None] - starts[:, None]
        points = starts[:, None, None] + SAMPLES[:, None] * way[:, :, None]
        distance = nearest(to_block(self._block, points.reshape(-1, 2))).distance
        least = distance.reshape(len(starts), len(ends), len(SAMPLES)).min(-1)
        length: Array = np.linalg.norm(way, axis=-1)
        return np.where(least >= self._narrow, length, BLOCKED)
