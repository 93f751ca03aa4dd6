"""What a benchmark gives: a value, and what it means for the run that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.types import Array


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value with its verdict."""

    part: str
    what: str
    value: float
    unit: str
    limit: float | None = None
    """What the run needs: at most this, or at least where `at_least`; None: shown, not judged."""
    why: str = ""
    """Where the limit comes from."""
    at_least: bool = False

    @property
    def enough(self) -> bool | None:
        """Whether the limit holds; None without one."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def verdict(self) -> str:
        """In words."""
        if self.limit is None:
            return ""
        found = "fast enough for" if self.enough else "too slow for"
        return f"{found} {self.why} ({'≥' if self.at_least else '≤'} {self.limit:,.4g} {self.unit})"


def percentiles(seconds: Array | list[float]) -> tuple[float, float]:
    """p50 and p99, s."""
    p50, p99 = np.percentile(seconds, [50, 99])
    return float(p50), float(p99)
