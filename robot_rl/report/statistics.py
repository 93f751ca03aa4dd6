"""Intervals for success rates and for figures over seeds; NumPy only.

Sources: Wilson, JASA 1927; Clopper & Pearson, Biometrika 1934; Brown, Cai & DasGupta, "Interval
Estimation for a Binomial Proportion", 2001; Agarwal et al., "Deep RL at the Edge of the
Statistical Precipice", 2021 (interquartile mean, stratified bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from robot_rl.errors import DataError
from robot_rl.types import Array

LEVEL = 0.95
RESAMPLES = 2000
Statistic = Callable[[Array], float]


def wilson_interval(successes: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a success rate; keeps its level near 0 and 1, where Wald's fails."""
    _check_counts(successes, trials, level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = successes / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = rate * (1 - rate) / trials + z * z / (4 * trials * trials)
    half = z * math.sqrt(spread) / (1 + z * z / trials)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def clopper_pearson_interval(
    successes: int, trials: int, level: float = LEVEL
) -> tuple[float, float]:
    """Exact interval of a success rate: never below its level, wider than Wilson's."""
    _check_counts(successes, trials, level)
    tail = (1 - level) / 2
    low, high = 0.0, 1.0
    if successes > 0:
        low = _quantile(lambda p: _beta_cdf(p, successes, trials - successes + 1), tail)
    if successes < trials:
        high = _quantile(lambda p: _beta_cdf(p, successes + 1, trials - successes), 1 - tail)
    return low, high


def t_interval(values: Sequence[float] | Array, level: float = LEVEL) -> tuple[float, float]:
    """Student's interval of a mean; needs two values or more, assumes them normal."""
    array = _values(values, least=2)
    freedom = len(array) - 1
    # P(|T| > t) = I_x(freedom/2, 1/2) at x = freedom / (freedom + t^2)
    x = _quantile(lambda x: _beta_cdf(x, freedom / 2, 0.5), 1 - level)
    t = math.sqrt(freedom * (1 - x) / x)
    half = t * float(array.std(ddof=1)) / math.sqrt(len(array))
    return float(array.mean()) - half, float(array.mean()) + half


def interquartile_mean(values: Array) -> float:
    """Mean of what is left without the lowest and the highest quarter (rounded down) of all."""
    array = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    cut = len(array) // 4
    return float(array[cut : len(array) - cut].mean())


def mean(values: Array) -> float:
    """The mean as a `Statistic`."""
    return float(np.mean(values))


def bootstrap_interval(
    values: Sequence[float] | Array,
    statistic: Statistic = mean,
    level: float = LEVEL,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap over independent values, e.g. one figure a seed.

    With n values at most n^n resamples differ: below five it is too narrow, prefer `t_interval`.
    """
    array = _values(values, least=1)
    return stratified_bootstrap_interval(
        array[:, None], statistic, level, resamples=resamples, seed=seed
    )


def stratified_bootstrap_interval(
    scores: Array,
    statistic: Statistic = interquartile_mean,
    level: float = LEVEL,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap of a figure over (runs, tasks) scores: runs are redrawn in each task."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0 or not np.isfinite(scores).all():
        raise DataError(f"scores {scores.shape}; valid: finite values shaped (runs, tasks)")
    rng = np.random.default_rng(seed)
    runs, tasks = scores.shape
    drawn = rng.integers(0, runs, (resamples, runs, tasks))
    figures = [statistic(scores[rows, np.arange(tasks)]) for rows in drawn]
    tail = (1 - level) / 2
    low, high = np.quantile(figures, [tail, 1 - tail])
    return float(low), float(high)


def moving_average(values: Sequence[float] | Array, window: int) -> Array:
    """(n,) mean of each value and the up to `window - 1` before it."""
    if window < 1:
        raise DataError(f"window {window}; valid: 1 or more")
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        return array
    sums = np.concatenate([[0.0], np.cumsum(array)])
    ends = np.arange(1, len(array) + 1)
    starts = np.maximum(ends - window, 0)
    smooth: Array = (sums[ends] - sums[starts]) / (ends - starts)
    return smooth


def _check_counts(successes: int, trials: int, level: float) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise DataError(
            f"{successes} successes of {trials} trials; "
            "valid: 1 trial or more, 0 to that many successes"
        )
    if not 0 < level < 1:
        raise DataError(f"level {level}; valid: between 0 and 1")


def _values(values: Sequence[float] | Array, least: int) -> Array:
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if len(array) < least or not np.isfinite(array).all():
        raise DataError(f"{array.tolist()}: valid are {least} or more finite values")
    return array


def _quantile(cdf: Callable[[float], float], probability: float) -> float:
    """Where a distribution on [0, 1] reaches `probability`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle) < probability else (low, middle)
    return (low + high) / 2


def _beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_cdf(1 - x, b, a)
    scale = a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b) - math.log(a)
    return math.exp(scale) / _beta_fraction(x, a, b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + …)), evaluated by Lentz's method until it no longer changes."""
    value, c, d = 1.0, 1.0, 0.0
    for n in range(1, 1000):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + term * d)
        c = 1 + term / c
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
