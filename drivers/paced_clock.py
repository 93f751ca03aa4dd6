"""The host's monotonic clock with periodic calls: what a driver of hardware runs on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from robot_rl.timing import BOOT_ID, NS


@dataclass(slots=True)
class _Periodic:
    period_ns: int
    next_ns: int
    call: Callable[[], None]


class PacedClock:
    """A `Clock` that runs periodic calls while somebody sleeps, as a simulated one does.

    clock.every(20_000_000, tick)           # 50 Hz
    clock.sleep_until(clock.now_ns() + 100_000_000)

    A call that comes late runs once, and the next one no sooner than 3/4 of a period after it: a
    safety layer's setpoints must not come in bursts. Calls do not nest: one that sleeps itself runs
    none. `wait` sleeps a number of seconds, or less when there is something
    to do (a driver process waits on its sockets); time stands still between two sleeps for nobody.
    """

    def __init__(
        self,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._now_ns, self.wait = now_ns, wait
        self._periodic: list[_Periodic] = []
        self._calling = False

    @property
    def boot_id(self) -> int:
        return BOOT_ID

    def now_ns(self) -> int:
        return self._now_ns()

    def every(self, period_ns: int, call: Callable[[], None]) -> None:
        if period_ns <= 0:
            raise ValueError(f"period {period_ns} ns; valid: above 0")
        self._periodic.append(_Periodic(period_ns, self._now_ns(), call))

    def sleep_until(self, stamp_ns: int) -> None:
        while True:
            self._run_due()
            now, wake = self._now_ns(), stamp_ns
            if now >= stamp_ns:
                return
            if not self._calling:
                wake = min([stamp_ns, *(item.next_ns for item in self._periodic)])
            if wake > now:
                self.wait((wake - now) / NS)

    def _run_due(self) -> None:
        if self._calling:
            return
        self._calling = True
        try:
            for item in self._periodic:
                if item.next_ns <= (now := self._now_ns()):
                    item.next_ns = max(item.next_ns, now - item.period_ns // 4) + item.period_ns
                    item.call()
        finally:
            self._calling = False
