"""Simulated time: waiting advances the physics."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from robot_rl.timing import NS

STEP_NS = 1_000_000
"""One physics step, 1 ms; the impedance law runs at this rate."""


@dataclass(slots=True)
class _Periodic:
    period_ns: int
    next_ns: int
    call: Callable[[], None]


class SimClock:
    """A `Clock` whose `sleep_until` runs the physics, as fast as possible or in real time.

    clock.every(20_000_000, tick)           # 50 Hz
    clock.sleep_until(clock.now_ns() + 100_000_000)

    Time counts whole physics steps, so it never drifts and never goes back; `boot_id` changes
    with every `restart`. A periodic call that is due at the instant the sleep ends runs at the
    start of the next one: a command given in between acts without delay.
    """

    def __init__(self, advance: Callable[[int], None], *, real_time: bool = False) -> None:
        """`advance(n)` runs n physics steps."""
        self._advance = advance
        self._real_time = real_time
        self._now_ns = 0
        self._boot_id = secrets.randbits(63)
        self._periodic: list[_Periodic] = []
        self._wall_ns: int | None = None

    @property
    def boot_id(self) -> int:
        return self._boot_id

    def now_ns(self) -> int:
        return self._now_ns

    def restart(self, boot_id: int | None = None) -> None:
        """Starts a new time base at 0, named at random if not given; periodic calls go on."""
        self._now_ns = 0
        self._boot_id = secrets.randbits(63) if boot_id is None else boot_id
        self._wall_ns = None
        for item in self._periodic:
            item.next_ns = 0

    def every(self, period_ns: int, call: Callable[[], None]) -> None:
        """Registers a call for each `period_ns` from now on; a whole number of physics steps."""
        if period_ns <= 0 or period_ns % STEP_NS:
            raise ValueError(f"period {period_ns} ns; valid: a positive multiple of {STEP_NS} ns")
        self._periodic.append(_Periodic(period_ns, self._now_ns, call))

    def sleep_until(self, stamp_ns: int) -> None:
        """Runs physics and periodic calls up to `stamp_ns`, rounded up to a whole step."""
        while self._now_ns < stamp_ns:
            stop_ns = stamp_ns
            for item in self._periodic:
                if item.next_ns <= self._now_ns:
                    item.next_ns = self._now_ns + item.period_ns
                    item.call()
                if item.next_ns < stop_ns:
                    stop_ns = item.next_ns
            steps = -((self._now_ns - stop_ns) // STEP_NS)
            self._advance(steps)
            self._now_ns += steps * STEP_NS
            if self._real_time:
                self._pace(steps * STEP_NS)

    def _pace(self, advanced_ns: int) -> None:
        """Waits for the wall clock; time spent outside `sleep_until` is not caught up."""
        wall = time.monotonic_ns()
        due = wall if self._wall_ns is None else self._wall_ns + advanced_ns
        if due > wall:
            time.sleep((due - wall) / NS)
        self._wall_ns = max(due, wall)
