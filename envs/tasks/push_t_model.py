"""Quasi-static model of a round rod that pushes the T, many pushes at once.

Friction under the T as an ellipsoidal limit surface (Howe & Cutkosky 1996): a wrench (f, m) slides
it along (f, m / c²), with c the friction's characteristic length. The rod sticks to the T while the
force that this takes lies in the friction cone, else it slides with the force at the cone's edge
(Lynch, Maekawa & Tanie 1992).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.envs.tasks.push_t_shape import UNIT, displacement, nearest, to_block, turned
from robot_rl.types import Array

CHARACTERISTIC = 1.6 * UNIT
"""c, m: between the mean distance of the T's area from its centroid and that of its corners."""
FRICTION = 0.3
"""Between rod and T."""
SUBSTEP = 0.004
"""m of the rod."""


@dataclass(frozen=True, slots=True)
class Pushes:
    """What n straight pushes would come to."""

    error: Array
    """(n,) least displacement from the target on the way, m."""
    length: Array
    """(n,) how far the rod has gone by then, m."""
    block: Array
    """(n, 3) where the T is by then."""


def push(
    block: Array,
    rod: Array,
    direction: Array,
    target: Array,
    *,
    radius: float,
    longest: float,
    bounds: tuple[Array, Array],
) -> Pushes:
    """Pushes T's (n, 3) with rods at (n, 2) along unit directions (n, 2), all in the base frame.

    `bounds` is the box (2,), (2,) that the rods may not leave.
    """
    block, rod = block.copy(), rod.copy()
    best = displacement(block, target)
    length, best_block = np.zeros(len(block)), block.copy()
    low, high = bounds
    for count in range(1, int(longest / SUBSTEP) + 1):
        rod += SUBSTEP * direction
        _yield(block, rod, direction, radius)
        error = displacement(block, target)
        better = (error < best) & (rod >= low).all(1) & (rod <= high).all(1)
        best = np.where(better, error, best)
        length = np.where(better, count * SUBSTEP, length)
        best_block[better] = block[better]
    return Pushes(best, length, best_block)


def _yield(block: Array, rod: Array, direction: Array, radius: float) -> None:
    """Moves the T's out of the rods' way, in place."""
    seen = nearest(to_block(block, rod))
    depth = radius - seen.distance
    hit = np.flatnonzero(depth > 0.0)
    if not len(hit):
        return
    inward, at, depth = -seen.normal[hit], seen.point[hit], depth[hit]
    along = np.stack([-inward[:, 1], inward[:, 0]], axis=1)
    step = SUBSTEP * turned(direction[hit], -block[hit, 2])
    aside = (step * along).sum(1)
    # M f is how the contact point moves under a force f there: M = 1 + r⊥ r⊥ᵀ / c².
    lever = np.stack([-at[:, 1], at[:, 0]], axis=1) / CHARACTERISTIC
    normal_lever, along_lever = (lever * inward).sum(1), (lever * along).sum(1)
    m_nn, m_tt, m_nt = 1.0 + normal_lever**2, 1.0 + along_lever**2, normal_lever * along_lever
    determinant = m_nn * m_tt - m_nt**2
    normal = (m_tt * depth - m_nt * aside) / determinant
    tangent = (m_nn * aside - m_nt * depth) / determinant
    slides = np.abs(tangent) > FRICTION * normal
    edge = np.sign(tangent) * FRICTION
    normal = np.where(slides, depth / (m_nn + edge * m_nt), normal)
    tangent = np.where(slides, edge * normal, tangent)
    force = normal[:, None] * inward + tangent[:, None] * along
    turn = (lever * force).sum(1) / CHARACTERISTIC
    block[hit, :2] += turned(force, block[hit, 2])
    block[hit, 2] += turn
