"""Operators from a list of readings, for tests of whatever reads one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from robot_rl.types import Context, Event, OperatorSample


class FakeOperator:
    """Implements `Operator`: the readings one after the other, then hands off.

    A reading's stamp counts only if it is above 0; else it is fresh when it is read. `closing` is
    raised by `close`. `press_stop` may be called from any thread.
    """

    def __init__(
        self,
        readings: Sequence[OperatorSample | None],
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        closing: Exception | None = None,
    ) -> None:
        self.contexts: list[Context] = []
        self.closed = False
        self._readings = list(readings)
        self._now_ns, self._closing, self._stop = now_ns, closing, False

    def press_stop(self) -> None:
        self._stop = True

    def read(self, context: Context) -> OperatorSample | None:
        self.contexts.append(context)
        self._stop = False
        sample = self._readings.pop(0) if self._readings else None
        if sample is None or sample.stamp_ns > 0:
            return sample
        return replace(sample, stamp_ns=self._now_ns())

    def stopped(self) -> bool:
        return self._stop

    def close(self) -> None:
        self.closed = True
        if self._closing is not None:
            raise self._closing


def sample_of(
    value: float | Sequence[float] | None, events: Event = Event.NONE, *, dim: int = 7
) -> OperatorSample:
    """A fresh reading whose motion has `value` in each dimension; None: hands off."""
    if value is None:
        return OperatorSample(None, 0, events)
    motion = np.broadcast_to(np.asarray(value, np.float32), dim).copy()
    return OperatorSample(motion, 0, events)
