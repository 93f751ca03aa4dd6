"""Clocks and rates. All times are integer ns of a monotonic clock; hosts' times never mix."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

BOOT_ID = secrets.randbits(63)
"""Names this process's monotonic clock."""
NS = 1_000_000_000


class MonotonicClock:
    """The host's monotonic clock as a `Clock`; periodic calls need a loop of the caller's own."""

    @property
    def boot_id(self) -> int:
        return BOOT_ID

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, stamp_ns: int) -> None:
        while (left := stamp_ns - time.monotonic_ns()) > 0:
            time.sleep(left / NS)

    def every(self, period_ns: int, call: Callable[[], None]) -> None:
        raise TypeError("a real clock runs no callbacks: the driver process has its own loop")


@dataclass(slots=True)
class RateStatistics:
    """Lateness of a periodic loop, ns."""

    periods: int = 0
    overruns: int = 0
    """Periods that began more than `slack_ns` late."""
    worst_ns: int = 0
    total_ns: int = 0


@dataclass(slots=True)
class Rate:
    """Keeps a loop at a fixed period; a late period starts at once and the schedule moves on.

    rate = Rate(clock.now_ns, clock.sleep_until, period_ns)
    while running:
        rate.wait()
        ...
    """

    now_ns: Callable[[], int]
    sleep_until: Callable[[int], None]
    period_ns: int
    slack_ns: int = 1_000_000
    statistics: RateStatistics = field(default_factory=RateStatistics)
    _next_ns: int = -1

    def wait(self) -> int:
        """Sleeps to the next period; gives its lateness in ns."""
        if self._next_ns < 0:
            self._next_ns = self.now_ns()
        self.sleep_until(self._next_ns)
        now = self.now_ns()
        late = max(0, now - self._next_ns)
        record = self.statistics
        record.periods += 1
        record.overruns += late > self.slack_ns
        record.worst_ns = max(record.worst_ns, late)
        record.total_ns += late
        self._next_ns = max(self._next_ns + self.period_ns, now - late % self.period_ns)
        return late
