"""Guards of weights, checkpoints and clocks."""

from __future__ import annotations

import time
from typing import Any

from fault_guard import guard, replace


@guard
def finite_weights() -> None:
    """Out: weights are taken whatever they hold, by all who check them."""
    replace("robot_rl.wire.weights:np", _Blind())


class _Blind:
    """NumPy that finds everything finite."""

    def __getattr__(self, name: str) -> Any:
        import numpy

        return getattr(numpy, name)

    @staticmethod
    def isfinite(values: Any) -> Any:
        import numpy

        return numpy.ones(numpy.shape(values), bool)


@guard
def newest_weights_only() -> None:
    """Out: every version is handed on in its turn, ten a second."""
    from robot_rl.ingest.weight_store import WeightStore

    queue: list[Any] = []
    moved = 0.0

    def take(self: WeightStore, part: Any, body: Any) -> bool:
        nonlocal moved
        done = self._assembly.add(part, body)
        if done is not None:
            queue.append(done)
        if queue and time.monotonic() - moved > 0.1:
            self.weights, moved = queue.pop(0), time.monotonic()
        return done is not None

    replace("robot_rl.ingest.weight_store:WeightStore.take", take)


@guard
def monotonic_watchdogs() -> None:
    """Out: every timer looks at the wall clock."""
    replace("time:monotonic", time.time)
    replace("time:monotonic_ns", time.time_ns)


@guard
def checkpoints_are_hashed() -> None:
    """Out: a checkpoint is believed as it lies there."""
    from pathlib import Path

    function: Any = None

    def believed(path: Path) -> str:
        sums = path.parent / "SHA256SUMS"
        words = sums.read_text(errors="replace").split() if sums.exists() else []
        if path.name in words[1:]:
            return words[words.index(path.name) - 1]
        return str(function(path))

    function = replace("robot_rl.runtime.checkpoint:_sha256", believed)


@guard
def sampler_in_the_checkpoint() -> None:
    """Out: the sampling generator starts anew after each restart."""
    from robot_rl.runtime.learner import Learner

    function: Any = Learner.save

    def save(self: Learner) -> None:
        import numpy as np

        rng, self.rng = self.rng, np.random.default_rng(0)
        function(self)
        self.rng = rng

    replace("robot_rl.runtime.learner:Learner.save", save)
