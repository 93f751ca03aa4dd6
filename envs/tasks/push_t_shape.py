"""The T of push-T in the plane: its outline, distances to it, and how much of one another covers.

A pose in the plane is (x, y, yaw), m and rad; the T's frame has its origin at the centroid and the
bar of the T on the side of +y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot_rl.types import Array

UNIT = 0.03
"""m. The T is 4 units wide and 4 long: a bar of 4 x 1 on a stem of 1 x 3, as in Push-T."""
CENTRE = 5.0 / 14.0
"""From the centroid up to the lower edge of the bar, units: (3 · 1.5 - 4 · 0.5) / 7."""
BAR = (-2.0 * UNIT, CENTRE * UNIT, 2.0 * UNIT, (CENTRE + 1.0) * UNIT)
STEM = (-0.5 * UNIT, (CENTRE - 3.0) * UNIT, 0.5 * UNIT, CENTRE * UNIT)
"""Rectangles (x low, y low, x high, y high), m; they share an edge and do not overlap."""
AREA = 7.0 * UNIT**2
OUTLINE = np.array(
    [
        (STEM[0], STEM[1]),
        (STEM[2], STEM[1]),
        (STEM[2], STEM[3]),
        (BAR[2], BAR[1]),
        (BAR[2], BAR[3]),
        (BAR[0], BAR[3]),
        (BAR[0], BAR[1]),
        (STEM[0], STEM[3]),
    ]
)
"""Corners (8, 2), anticlockwise, m."""
EDGES = np.roll(OUTLINE, -1, axis=0) - OUTLINE
LENGTHS = np.linalg.norm(EDGES, axis=1)
NORMALS = np.stack([EDGES[:, 1], -EDGES[:, 0]], axis=1) / LENGTHS[:, None]
"""Outward, (8, 2)."""
CONVEX = np.array([0, 1, 3, 4, 5, 6])
"""Corners that point outwards."""
GYRATION = math.sqrt(
    sum(
        ((high_x**3 - low_x**3) * (high_y - low_y) + (high_y**3 - low_y**3) * (high_x - low_x)) / 3
        for low_x, low_y, high_x, high_y in (BAR, STEM)
    )
    / AREA
)
"""Radius of gyration, m: a turn by a small angle moves the T's points by angle x this (RMS)."""
_SQUARED = LENGTHS**2
_BAND = 1e-9


@dataclass(frozen=True, slots=True)
class Nearest:
    """What is nearest to points on the outline, in the T's frame."""

    distance: Array
    """(n,) m, negative inside."""
    point: Array
    """(n, 2) on the outline."""
    normal: Array
    """(n, 2) unit, outward."""


def nearest(points: Array) -> Nearest:
    """The outline as seen from points (n, 2) in the T's frame."""
    ahead = points[:, None, :] - OUTLINE
    share = np.clip((ahead * EDGES).sum(-1) / _SQUARED, 0.0, 1.0)
    away = ahead - share[..., None] * EDGES
    squared = (away * away).sum(-1)
    edge = squared.argmin(axis=1)
    row = np.arange(len(points))
    gap, distance = away[row, edge], np.sqrt(squared[row, edge])
    x, y = points[:, 0], points[:, 1]
    inside = _within(x, y, BAR) | _within(x, y, STEM)
    sign = np.where(inside, -1.0, 1.0)
    far = distance > _BAND
    normal = np.where(
        far[:, None], sign[:, None] * gap / np.where(far, distance, 1.0)[:, None], NORMALS[edge]
    )
    return Nearest(sign * distance, points - gap, normal)


def to_world(pose: Array, points: Array) -> Array:
    """Points (..., 2) of the T's frame at poses (..., 3)."""
    return pose[..., :2] + turned(points, pose[..., 2])


def to_block(pose: Array, points: Array) -> Array:
    """Points (..., 2) seen from T's at poses (..., 3)."""
    return turned(points - pose[..., :2], -pose[..., 2])


def turned(vectors: Array, angle: Array | float) -> Array:
    """Vectors (..., 2) turned by angles (...), rad."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def displacement(pose: Array, target: Array) -> Array:
    """RMS distance (...) m between the points of T's at poses (..., 3) and of one at `target`."""
    shift = pose[..., :2] - target[:2]
    chord = 2.0 * GYRATION * np.sin(0.5 * (pose[..., 2] - target[2]))
    rms: Array = np.sqrt((shift * shift).sum(-1) + chord * chord)
    return rms


def coverage(pose: Array, target: Array) -> float:
    """Share of the T at `target` (3,) that the T at `pose` (3,) covers: exact, in [0, 1]."""
    if math.hypot(*(pose[:2] - target[:2])) > 6.0 * UNIT:
        return 0.0
    mine = [_corners(rectangle, pose) for rectangle in (BAR, STEM)]
    others = [_corners(rectangle, target) for rectangle in (BAR, STEM)]
    shared = sum(_area(_clipped(a, b)) for a in mine for b in others)
    return min(shared / AREA, 1.0)


Polygon = list[tuple[float, float]]


def _corners(rectangle: tuple[float, float, float, float], pose: Array) -> Polygon:
    low_x, low_y, high_x, high_y = rectangle
    x, y, yaw = pose.tolist()
    cos, sin = math.cos(yaw), math.sin(yaw)
    corners = ((low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y))
    return [(x + cos * a - sin * b, y + sin * a + cos * b) for a, b in corners]


def _clipped(subject: Polygon, window: Polygon) -> Polygon:
    """Intersection of two convex anticlockwise polygons (Sutherland & Hodgman 1974)."""
    start_x, start_y = window[-1]
    for end_x, end_y in window:
        along_x, along_y = end_x - start_x, end_y - start_y
        sides = [along_x * (y - start_y) - along_y * (x - start_x) for x, y in subject]
        kept: Polygon = []
        for i, (point, side) in enumerate(zip(subject, sides, strict=True)):
            before, side_before = subject[i - 1], sides[i - 1]
            if (side >= 0.0) != (side_before >= 0.0):
                share = side_before / (side_before - side)
                kept.append(
                    (
                        before[0] + share * (point[0] - before[0]),
                        before[1] + share * (point[1] - before[1]),
                    )
                )
            if side >= 0.0:
                kept.append(point)
        subject = kept
        if not subject:
            break
        start_x, start_y = end_x, end_y
    return subject


def _area(polygon: Polygon) -> float:
    twice = 0.0
    for i, (x, y) in enumerate(polygon):
        before_x, before_y = polygon[i - 1]
        twice += before_x * y - before_y * x
    return 0.5 * twice


def _within(x: Array, y: Array, box: tuple[float, float, float, float]) -> Array:
    inside: Array = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
    return inside
