"""Known values of Wilson's interval, and what the bootstrap covers."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import DataError
from robot_rl.report.statistics import bootstrap_interval, moving_average, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.27753279986288915),
        (10, 10, 0.7224672001371109, 1.0),
        (19, 20, 0.763868806553258, 0.9911185511992047),
        (5, 11, 0.21271271622459764, 0.719908462590678),
        (990, 1000, 0.9816905311296853, 0.9945592455544707),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-12)


def test_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.normal(2.0, 1.0, 30), resamples=400)
        hits += low <= 2.0 <= high
    assert 0.87 <= hits / 200 <= 0.99


def test_moving_average_grows_to_its_window() -> None:
    assert moving_average([1, 2, 3, 4, 5], 2).tolist() == [1.0, 1.5, 2.5, 3.5, 4.5]
    assert moving_average([1, 2, 3], 10).tolist() == [1.0, 1.5, 2.0]
    assert moving_average([], 3).tolist() == []


def test_bad_counts_and_values_say_what_is_valid() -> None:
    for bad in ((1, 0), (-1, 5), (6, 5), (1, 10**30)):
        with pytest.raises(DataError, match="valid"):
            wilson_interval(*bad)
    with pytest.raises(DataError, match="level"):
        wilson_interval(1, 2, 95)
    with pytest.raises(DataError, match="2 or more"):
        bootstrap_interval([1.0])
    with pytest.raises(DataError, match="finite"):
        bootstrap_interval([1.0, float("nan")])
    with pytest.raises(DataError, match="window"):
        moving_average([1.0], 0)
