"""The probe: a periodic Python loop that notes how late each period began.

    python tests/benchmarks/areas/probe.py '<ProbeConfig as JSON>'

It is the actor's loop without a robot: `Rate` over the monotonic clock and, where it is told of a
runtime directory, a record into the ring each period. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from robot_rl.runtime.priority import ask_for_priority
from robot_rl.testing.wire_harness import (
    random_observation,
    random_transition,
    small_spec,
    wait_for,
)
from robot_rl.timing import MonotonicClock, Rate
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.mailbox import LinkStatus
from robot_rl.wire.process import bind_to_parent, run_main

ACTOR = "probe"
LATE_US = 5000.0
"""What counts as a late period of a policy."""


class ProbeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to probe."""

    seconds: float
    period_us: int = 1000
    fifo: bool = False
    """Ask for SCHED_FIFO."""
    runtime_dir: str = ""
    """Of the I/O process of actor `probe`; "" writes no records."""


def lateness(config: ProbeConfig, work: Callable[[int], None]) -> np.ndarray:
    """Lateness (periods,) in µs of each period; `work(period)` is done in each."""
    periods = int(config.seconds * 1e6 / config.period_us)
    late = np.zeros(periods)
    clock = MonotonicClock()
    rate = Rate(clock.now_ns, clock.sleep_until, config.period_us * 1000)
    for period in range(periods):
        late[period] = rate.wait()
        work(period)
    return late / 1000.0


def probe(config: ProbeConfig) -> dict[str, Any]:
    """Percentiles of the lateness in µs, records written, scheduling granted."""
    granted = ask_for_priority(fifo=config.fifo, nice=0)
    result: dict[str, Any] = {"scheduling": granted, "records": 0}
    if not config.runtime_dir:
        late = lateness(config, lambda _: None)
    else:
        spec, rng = small_spec(), np.random.default_rng(0)
        obs = random_observation(spec, rng)
        transition = random_transition(spec, rng, obs, step=1)
        link = ActorLink(Path(config.runtime_dir), spec, ACTOR, 1)
        try:
            wait_for("ingest", lambda: link.status is LinkStatus.CONNECTED)
            link.start(obs, 0, 0, 1)
            late = lateness(config, lambda _: link.step(transition))
        finally:
            result["records"] = link.next_sequence
            link.close()
    p50, p99, p999 = np.percentile(late, [50, 99, 99.9])
    return result | {
        "periods": len(late),
        "p50_us": float(p50),
        "p99_us": float(p99),
        "p999_us": float(p999),
        "worst_us": float(late.max()),
        "later_than_5_ms": int((late > LATE_US).sum()),
        "share_over_a_period": float((late > config.period_us).mean()),
    }


def _main(config: ProbeConfig) -> None:
    bind_to_parent(0)
    print(json.dumps(probe(config)), flush=True)


if __name__ == "__main__":
    sys.exit(run_main("areas.probe", ProbeConfig, _main, sys.argv[1:]))
