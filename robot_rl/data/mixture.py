"""Symmetric sampling: demonstrations and online data in a fixed ratio (RLPD, 2302.02948, sec. 4.1).

Two views of one step: the robot was asked for one action and executed another wherever a limit, a
wall or a contact took something away. Both transitions are true. Learnt from executed actions
alone, a critic never hears what came of a proposal that was cut short, believes the best of it and
the policy pushes on for ever; so a share of the online rows carries the proposal.

Trap: the rows of the two pools must be interleaved before a block is sliced into batches, or one
update would see demonstrations only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robot_rl.data.replay import END, Pool, Replay
from robot_rl.errors import ConfigError
from robot_rl.types import Array, Batch


class Mixture:
    """Draws the rows of one update block.

    mixture = Mixture(replay, batch_size=256, utd=20)
    batch = mixture.sample(rng, upper)        # utd * batch_size rows
    """

    def __init__(
        self,
        replay: Replay,
        *,
        batch_size: int,
        utd: int,
        demo_ratio: float = 0.5,
        n_step: int = 1,
        gamma: float = 0.99,
        history: int = 1,
        proposed_ratio: float = 0.5,
    ) -> None:
        """proposed_ratio: share of the online rows with the proposed in place of the executed
        action. Raises ConfigError on a ratio outside [0, 1] or a count below 1."""
        for name, ratio in {"demo_ratio": demo_ratio, "proposed_ratio": proposed_ratio}.items():
            if not 0.0 <= ratio <= 1.0:
                raise ConfigError(f"{name} {ratio}; valid: 0 … 1")
        counts = {"batch_size": batch_size, "utd": utd, "n_step": n_step, "history": history}
        for name, value in counts.items():
            if value < 1:
                raise ConfigError(f"{name} {value}; valid: 1 or more")
        self.replay, self.rows = replay, batch_size * utd
        self.n_step, self.gamma, self.history = n_step, gamma, history
        pattern = demo_pattern(batch_size, demo_ratio)
        self._demo = np.flatnonzero(np.tile(pattern, utd))
        self._online = np.flatnonzero(np.tile(~pattern, utd))
        spread = np.arange(len(self._online) + 1) * proposed_ratio
        self._asked = self._online[np.diff(np.floor(spread + 1e-9)).astype(bool)]
        self._mask = np.tile(pattern, utd).astype(np.float32)

    def sample(self, rng: np.random.Generator, upper: int = END) -> Batch:
        """utd * batch_size transitions; every slice of batch_size rows has the ratio.

        Where one pool is empty the other fills in; DataError where both are.
        """
        rows, demo = self._draw(rng, upper)
        batch = self.replay.gather(
            rows, upper=upper, n_step=self.n_step, gamma=self.gamma, history=self.history,
            asked=self._asked,
        )  # fmt: skip
        return replace(batch, demo=demo)

    def _draw(self, rng: np.random.Generator, upper: int) -> tuple[Array, Array]:
        """Rows of the store, and which are demonstrations (float32)."""
        replay, history = self.replay, self.history
        both = len(self._demo) > 0 and len(self._online) > 0
        if both and replay.has("demo", upper, history) and replay.has("online", upper, history):
            rows = np.empty(self.rows, np.int64)
            rows[self._demo] = replay.draw(len(self._demo), rng, "demo", upper, history)
            rows[self._online] = replay.draw(len(self._online), rng, "online", upper, history)
            return rows, self._mask
        wanted: Pool = "online" if len(self._online) else "demo"
        other: Pool = "demo" if wanted == "online" else "online"
        pool = wanted if replay.has(wanted, upper, history) else other
        mask = np.full(self.rows, pool == "demo", np.float32)
        return replay.draw(self.rows, rng, pool, upper, history), mask


def demo_pattern(batch_size: int, demo_ratio: float) -> Array:
    """(batch_size,) bool: which rows of a batch are demonstrations, spread evenly.

    Their number is batch_size * demo_ratio, rounded.
    """
    demos = round(batch_size * demo_ratio)
    edges = np.arange(batch_size + 1) * demos // batch_size
    return np.diff(edges).astype(bool)
