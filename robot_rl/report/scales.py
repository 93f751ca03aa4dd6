"""Axes of charts: their text, their round values, their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_rl.types import Array

MAX_POINTS = 300


@dataclass(frozen=True, slots=True)
class Axis:
    """Label (with its unit) and, where given, fixed ends; `percent` shows 0.5 as 50 %."""

    label: str
    low: float | None = None
    high: float | None = None
    percent: bool = False

    def text(self, value: float) -> str:
        """A value as ticks and hover titles show it."""
        if self.percent:
            return f"{100 * value:.3g} %"
        if value and not 1e-3 <= abs(value) < 1e6:
            return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def thin(x: Array, y: Array, points: int = MAX_POINTS) -> tuple[Array, Array]:
    """Means over equal groups of neighbours, so that at most `points` are left."""
    if len(x) <= points:
        return x, y
    groups = np.array_split(np.arange(len(x)), points)
    return np.array([x[g].mean() for g in groups]), np.array([y[g].mean() for g in groups])


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round values (1, 2 or 5 times a power of ten) that span low … high."""
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.10g}") for n in range(first, last + 1)]


def ends(axis: Axis, arrays: Sequence[Array]) -> tuple[float, float]:
    """The axis's own ends, else those of the finite values with some room, kept apart."""
    flat = [np.asarray(array, dtype=np.float64).reshape(-1) for array in arrays]
    values = np.concatenate([np.empty(0), *flat])
    values = values[np.isfinite(values)]
    low = axis.low if axis.low is not None else float(values.min()) if len(values) else 0.0
    high = axis.high if axis.high is not None else float(values.max()) if len(values) else 1.0
    if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
        pad = abs(high) * 0.1 or 1.0
        low, high = (low if axis.low is not None else low - pad), high + pad
        return low, high
    room = 0.04 * (high - low)
    low -= room if axis.low is None and low != 0 else 0.0
    return low, high + (room if axis.high is None else 0.0)
