"""A learner at work beside what is measured: a companion (see `answering`)."""

from __future__ import annotations

import sys
import time

import numpy as np
from answering import answer

from robot_rl.agents.sac.agent import SAC
from robot_rl.specs import EnvSpec
from robot_rl.testing.wire_harness import small_spec
from robot_rl.types import Batch

UTD, BATCH = 4, 256


def random_batch(spec: EnvSpec, rows: int) -> Batch:
    """Rows of noise that fit the spec."""
    rng = np.random.default_rng(0)

    def observation() -> dict[str, np.ndarray]:
        return {a.name: rng.standard_normal((rows, *a.shape), np.float32) for a in spec.observation}

    row = np.ones(rows, np.float32)
    action = rng.uniform(-1, 1, (rows, spec.action_dim)).astype(np.float32)
    return Batch(observation(), action, row, observation(), row, 0.97 * row)


class BusyLearner:
    """A SAC learner with one thread and a batch it updates on again and again."""

    def __init__(self, *, compile: bool) -> None:
        spec = small_spec()
        self._agent = SAC(spec, seed=0, compile=compile, batch_size=BATCH, utd=UTD)
        self._batch = random_batch(spec, UTD * BATCH)
        self._agent.update(self._batch)

    def work(self, seconds: float) -> dict[str, float]:
        """Updates for so long; gives critic updates/s."""
        start, blocks = time.perf_counter(), 0
        while (spent := time.perf_counter() - start) < seconds:
            self._agent.update(self._batch)
            blocks += 1
        return {"critic_updates_per_s": blocks * UTD / spent}


if __name__ == "__main__":
    answer({}, BusyLearner(compile="--eager" not in sys.argv[1:]).work)
