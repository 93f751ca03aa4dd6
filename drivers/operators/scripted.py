"""A scripted takeover: an expert's action for some steps in every so many."""

from __future__ import annotations

import time
from collections.abc import Callable

from robot_rl.errors import ConfigError
from robot_rl.types import Array, Context, OperatorSample


class ScriptedOperator:
    """Hands on for the first `length` of every `every` readings, with `expert()` as the human.

    expert: gives the action (dim,) float32 in [-1, 1] for the present state of the environment.
    """

    def __init__(self, expert: Callable[[], Array], every: int = 100, length: int = 20) -> None:
        if not 0 < length <= every:
            raise ConfigError(f"teleop: length {length} must be in 1 … every ({every})")
        self._expert, self._every, self._length = expert, every, length
        self._readings = 0

    def read(self, context: Context) -> OperatorSample | None:
        """Only moments in which something acts are counted."""
        if context.step is None:
            return None
        phase = self._readings % self._every
        self._readings += 1
        if phase >= self._length:
            return None
        return OperatorSample(self._expert(), time.monotonic_ns())

    def stopped(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing to free."""
