"""A process that measures when asked: one JSON request a line in, one JSON answer a line out.

Peers and busy neighbours live in processes of their own and stay up, so that all take turns in one
run. Standard library only: peers run in interpreters that have nothing of ours but this folder.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def one_core() -> None:
    """Binds this process to one core: libraries imported later size their pools by it."""
    os.environ |= dict.fromkeys(POOLS, "1")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def on_one_core() -> Iterator[None]:
    """The calling thread on the core that `one_core` chooses, for as long as the context lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def answer(versions: dict[str, str], measure: Callable[..., dict[str, Any]]) -> None:
    """Says what this is, then answers requests, the keyword arguments of `measure`, until standard
    input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to standard error
    print(json.dumps(versions), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(**json.loads(line))), file=answers, flush=True)


def median_s(
    call: Callable[[], Any], repeats: int, before: Callable[[int], None] = lambda _: None
) -> float:
    """Median seconds of `call`; `before(i)` is not counted."""
    times = []
    for number in range(repeats):
        before(number)
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e9
