"""The host's clock with periodic calls, on a stepped time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from robot_rl.drivers.paced_clock import PacedClock

MS = 1_000_000


class Time:
    """Stands still but for sleeps; each sleep may come late."""

    def __init__(self, late_s: tuple[float, ...] = ()) -> None:
        self.now = 0
        self._late = list(late_s)

    def wait(self, seconds: float) -> None:
        late = self._late.pop(0) if self._late else 0.0
        self.now += round((seconds + late) * 1e9)


def called(time: Time, period_ms: int, until_ms: int) -> list[int]:
    clock = PacedClock(now_ns=lambda: time.now, wait=time.wait)
    calls: list[int] = []
    clock.every(period_ms * MS, lambda: calls.append(time.now // MS))
    clock.sleep_until(until_ms * MS)
    return calls


def test_calls_keep_their_period() -> None:
    assert called(Time(), 20, 100) == [0, 20, 40, 60, 80, 100]


@pytest.mark.parametrize("late", [0.002, 0.015, 0.05, 0.2])
def test_after_a_late_call_none_comes_in_a_burst(late: float) -> None:
    calls = called(Time((late,)), 20, 400)
    gaps = [b - a for a, b in pairwise(calls)]
    assert max(gaps) >= 20 + round(1e3 * late) or late < 0.01
    assert min(gaps) >= 15
    assert gaps[-5:] == [20] * 5


def test_a_call_that_sleeps_runs_no_other() -> None:
    time = Time()
    clock = PacedClock(now_ns=lambda: time.now, wait=time.wait)
    calls: list[str] = []
    clock.every(10 * MS, lambda: calls.append("short"))

    def long() -> None:
        calls.append("long")
        clock.sleep_until(clock.now_ns() + 35 * MS)

    clock.every(100 * MS, long)
    clock.sleep_until(50 * MS)
    assert calls[:3] == ["short", "long", "short"]
    assert time.now == 50 * MS


def test_a_period_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        PacedClock().every(0, lambda: None)
