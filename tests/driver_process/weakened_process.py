"""The driver's two processes with a guard taken out: for the planted-bug twins.

WEAKENED names it: watchdog (stale commands are followed for ever), loss (an actor's end is not
noticed in time, nor its process's death by the kernel), guardian (a hang is not judged), stops (a
stop from another thread is not read), first (the first goal is not checked).
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

import robot_rl.drivers.mujoco.fr3 as fr3
from robot_rl.commands import driver_process
from robot_rl.drivers.remote import guardian, server
from robot_rl.drivers.remote.order import Order

HOUR_NS = 3_600_000_000_000


def late(self: server.DriverServer) -> None:
    """What the driver does two seconds after its actor has ended."""
    self._clock.sleep_until(self._clock.now_ns() + 2_000_000_000)
    self._actor = None


def weaken(guard: str) -> None:
    if guard == "watchdog":
        strict: Any = fr3.limits_within

        def patient(*words: Any, **options: Any) -> Any:
            limits = strict(*words, **options)
            return replace(limits, hold_after_ns=HOUR_NS, stop_after_ns=2 * HOUR_NS)

        fr3.limits_within = patient
    elif guard == "loss":
        driver_process.die_with_parent = lambda: None  # type: ignore[attr-defined]
        server.DriverServer._lose_actor = late  # type: ignore[method-assign]
    elif guard == "guardian":
        guardian.Watch.hung = lambda *_: False  # type: ignore[method-assign]
    elif guard == "stops":
        server.DriverServer._obey_stops = lambda self: None  # type: ignore[method-assign]
    elif guard == "first":
        Order._check_first = lambda *_: None  # type: ignore[method-assign]
    elif guard:
        raise ValueError(guard)


if __name__ == "__main__":
    for name in os.environ.get("WEAKENED", "").split(","):
        weaken(name)
    sys.exit(driver_process.main(sys.argv[1:]))
