"""Known values: scipy 1.17 (binomtest, t, trim_mean) and the cited papers' examples."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import DataError
from robot_rl.report.statistics import (
    bootstrap_interval,
    clopper_pearson_interval,
    interquartile_mean,
    moving_average,
    stratified_bootstrap_interval,
    t_interval,
    wilson_interval,
)


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


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.3084971078187607),
        (10, 10, 0.6915028921812392, 1.0),
        (19, 20, 0.7512672372279721, 0.9987349105020502),
        (1, 3, 0.008403758659612633, 0.9057006759497539),
        (990, 1000, 0.9816867569448888, 0.9951944893089504),
    ],
)
def test_clopper_pearson(successes: int, trials: int, low: float, high: float) -> None:
    assert clopper_pearson_interval(successes, trials) == pytest.approx((low, high), abs=1e-10)


def test_student_interval() -> None:
    assert t_interval([1, 2, 4, 4.5, 9]) == pytest.approx(
        (0.2628765231807222, 7.93712347681928), abs=1e-9
    )
    assert t_interval([1, 2], 0.99) == pytest.approx(
        (-30.328370581435763, 33.32837058143576), abs=1e-6
    )
    assert t_interval([1.0, 1.0, 1.0]) == (1.0, 1.0)


def test_interquartile_mean_drops_a_quarter_at_each_end() -> None:
    assert interquartile_mean(np.array([0.0, 1.0, 2.0, 1000.0])) == 1.5
    assert interquartile_mean(np.array([[100.0, 3.0], [1.0, 2.0], [0.0, 2.5]])) == pytest.approx(
        (1 + 2 + 2.5 + 3) / 4
    )
    assert interquartile_mean(np.array([7.0])) == 7.0


def test_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.normal(2.0, 1.0, 30), resamples=400, seed=trial)
        hits += low <= 2.0 <= high
    assert 0.87 <= hits / 200 <= 0.99


def test_stratified_bootstrap_keeps_each_task_apart() -> None:
    """Tasks differ, runs of one task do not: nothing varies, so the interval has no width."""
    scores = np.tile([0.1, 0.5, 0.9, 0.7], (5, 1))
    low, high = stratified_bootstrap_interval(scores)
    assert low == high == pytest.approx(0.6)
    noisy = scores + np.random.default_rng(0).normal(0, 0.05, scores.shape)
    low, high = stratified_bootstrap_interval(noisy)
    assert low < interquartile_mean(noisy) < high
    assert stratified_bootstrap_interval(noisy) == (low, high)


def test_moving_average_grows_to_its_window() -> None:
    assert moving_average([1, 2, 3, 4, 5], 2).tolist() == [1.0, 1.5, 2.5, 3.5, 4.5]
    assert moving_average([1, 2, 3], 10).tolist() == [1.0, 1.5, 2.0]
    assert moving_average([], 3).tolist() == []


def test_bad_counts_and_values_say_what_is_valid() -> None:
    for bad in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(DataError, match="valid"):
            wilson_interval(*bad)
        with pytest.raises(DataError, match="valid"):
            clopper_pearson_interval(*bad)
    with pytest.raises(DataError, match="level"):
        wilson_interval(1, 2, 95)
    with pytest.raises(DataError, match="2 or more"):
        t_interval([1.0])
    with pytest.raises(DataError, match="finite"):
        bootstrap_interval([1.0, float("nan")])
    with pytest.raises(DataError, match="window"):
        moving_average([1.0], 0)
