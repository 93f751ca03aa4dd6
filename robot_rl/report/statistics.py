"""Intervals for success rates and for figures over seeds, by SciPy.

Sources: Wilson, JASA 1927; Brown, Cai & DasGupta, "Interval Estimation for a Binomial Proportion",
2001; Efron, "Bootstrap Methods", 1979 (percentiles).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from robot_rl.errors import DataError
from robot_rl.types import Array

LEVEL = 0.95
RESAMPLES = 2000
MOST_TRIALS = 2**53


def wilson_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a success rate; keeps its level near 0 and 1, where Wald's fails."""
    if not 1 <= trials <= MOST_TRIALS or not 0 <= successes <= trials:
        raise DataError(
            f"{successes} successes of {trials} trials; "
            f"valid: 1 to {MOST_TRIALS:,} trials, 0 to that many successes"
        )
    if not 0 < level < 1:
        raise DataError(f"level {level}; valid: between 0 and 1")
    found = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def bootstrap_interval(
    values: Sequence[float] | Array, level: float = LEVEL, *, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap of the mean over independent values, e.g. one figure a seed.

    With n values at most n^n resamples differ: below five it is too narrow.
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if len(array) < 2 or not np.isfinite(array).all():
        raise DataError(f"{array.tolist()}: valid are 2 or more finite values")
    rng = np.random.default_rng(0)
    drawn = stats.bootstrap(
        (array,),
        np.mean,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=rng,
    )
    found = drawn.confidence_interval
    return float(found.low), float(found.high)


def moving_average(values: Sequence[float] | Array, window: int) -> Array:
    """(n,) mean of each value and the up to `window - 1` before it."""
    if window < 1:
        raise DataError(f"window {window}; valid: 1 or more")
    array = np.asarray(values, dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(array)])
    ends = np.arange(1, len(array) + 1)
    starts = np.maximum(ends - window, 0)
    smooth: Array = (sums[ends] - sums[starts]) / (ends - starts)
    return smooth
