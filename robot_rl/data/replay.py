"""Replay: a preallocated view of the log (and of demonstrations) to sample from.

A row is a record, so a STEP in row i has its next observation in row i and its observation in the
row before; every observation is stored once. Online, demo and intervention buffers are index sets
over one store.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from robot_rl.data.amend import Amendment
from robot_rl.data.gather import Gatherer
from robot_rl.data.ring import Fifo, Ring
from robot_rl.data.store import allocate, row_bytes
from robot_rl.errors import ConfigError, DataError, PoisonedDataError, SpecError, suggest
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch
from robot_rl.wire.chunk import ChunkHeader
from robot_rl.wire.record import poisoned, record_dtype

Pool = Literal["online", "demo"]
Part = tuple[Ring, Fifo, int, int]
"""A slice (start, stop) of a ring's index set."""
END = 1 << 62
"""A log position behind every record."""
NOWHERE = np.empty(0, np.int64)
INDEX_BYTES = 64
"""At most, per row, for the index sets while they grow."""


class Replay:
    """Stores records, gives batches.

    replay = Replay(spec, 200_000, streams=2, demo_rows=len(demos))
    replay.add_demos(demos)
    replay.extend(chunk.header, chunk.records)
    batch = replay.sample(256, rng, upper=position)

    A sample is a pure function of the demonstrations, the log below `upper` and `rng`, as long as
    `upper` never goes back and records are read at most `slack` beyond it.
    """

    def __init__(
        self,
        spec: EnvSpec,
        capacity: int,
        *,
        streams: int = 1,
        demo_rows: int = 0,
        memory_limit_gb: float | None = None,
        slack: int = 512,
    ) -> None:
        """capacity: online rows, shared evenly by `streams` actors; demo_rows: records (starts
        included) that `add_demos` will bring, never evicted. Raises ConfigError with the bytes
        needed and available before anything is allocated."""
        share = capacity // streams if streams > 0 else 0
        if share < 2 or demo_rows < 0 or slack < 1:
            raise ConfigError(
                f"replay: capacity {capacity} for {streams} actors, {demo_rows} demo rows; valid: "
                "at least 2 rows an actor, 0 or more demo rows"
            )
        rows = share + slack
        total = streams * rows + demo_rows
        self.spec, self.slack, self.capacity = spec, slack, capacity
        self.store = allocate(
            spec, total, extra_bytes=total * INDEX_BYTES, limit_gb=memory_limit_gb
        )
        self._rings = [Ring(self.store, i * rows, rows, share) for i in range(streams)]
        self._actors: dict[str, Ring] = {}
        self._demos = Ring(self.store, streams * rows, demo_rows, demo_rows)
        self._dtype = record_dtype(spec)
        self._gatherer = Gatherer(self.store)
        self._known: dict[tuple[Pool, int, int], list[Part]] = {}
        self._pending: list[Amendment] = []
        self._applied: dict[tuple[str, int, int], list[Amendment]] = {}
        self.position = 0
        """Log position behind the last record taken."""

    @property
    def bytes_per_row(self) -> int:
        return row_bytes(self.spec)

    def extend(self, header: ChunkHeader, records: Array) -> None:
        """Takes a chunk from the log; position, actor and epoch are the header's.

        Raises PoisonedDataError on NaN or infinity, DataError on records that were taken already,
        ConfigError on one actor more than there are streams.
        """
        self._check(records, header.actor)
        if header.position < self.position:
            raise DataError(
                f"replay: records of position {header.position} after {self.position}; valid: in "
                "log order, once each"
            )
        ring = self._ring(header.actor)
        ring.append(records, position=header.position, epoch=header.epoch)
        self._known.clear()
        self.position = header.position + len(records)
        if self._applied:
            self._amend_again(ring, header, records)

    def add_demos(self, records: Array) -> None:
        """Takes demonstrations: episodes one after the other, each from its START on."""
        self._check(records, "the demonstrations")
        room = self._demos.rows - self._demos.head
        if len(records) > room:
            raise ConfigError(f"replay: {len(records)} demo records, room for {room}: demo_rows")
        if len(records):
            # An epoch of its own: numbers of two datasets may continue each other by chance.
            self._known.clear()
            self._demos.append(records, position=-1 - len(records), epoch=self._demos.head)

    def amend(self, amendment: Amendment) -> None:
        """Takes an amendment from the log; it holds for samples with `upper` above its position."""
        self._pending.append(amendment)

    def size(self, pool: Pool, upper: int = END, *, history: int = 1) -> int:
        """Transitions that `sample` would draw from."""
        self._apply_pending(upper)
        return sum(stop - start for _, _, start, stop in self._parts(pool, upper, history))

    def has(self, pool: Pool, upper: int = END, history: int = 1) -> bool:
        """Whether `sample` would find anything."""
        return self.size(pool, upper, history=history) > 0

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        pool: Pool = "online",
        upper: int = END,
        n_step: int = 1,
        gamma: float = 0.99,
        history: int = 1,
    ) -> Batch:
        """n transitions, uniformly with replacement; the arrays are reused by the second next call.

        online: all transitions of the log; demo: demonstrations and what people did online.
        Rewards are summed over `n_step` steps, fewer where the episode ends or the log below
        `upper` does; the mask is 0 only where it terminated within them; `discount` is gamma to
        the power of the steps really summed. history > 1 adds a time axis (n, history, ...).
        Raises DataError on an empty pool.
        """
        rows = self.draw(n, rng, pool, upper, history)
        return self.gather(rows, upper=upper, n_step=n_step, gamma=gamma, history=history)

    def draw(
        self, n: int, rng: np.random.Generator, pool: Pool, upper: int = END, history: int = 1
    ) -> Array:
        """Rows (n,) of the store, drawn uniformly from a pool."""
        self._apply_pending(upper)
        parts = self._parts(pool, upper, history)
        total = sum(stop - start for _, _, start, stop in parts)
        if not total:
            raise DataError(f"replay: nothing to sample in the {pool} pool below {upper}")
        picks = rng.integers(0, total, n)
        if len(parts) == 1:
            ring, counts, start, stop = parts[0]
            return ring.row(counts.view[start:stop].take(picks))
        rows = np.empty(n, np.int64)
        for ring, counts, start, stop in parts:
            mine = np.flatnonzero((picks >= 0) & (picks < stop - start))
            rows[mine] = ring.row(counts.view[start:stop].take(picks[mine]))
            picks -= stop - start
        return rows

    def gather(
        self, rows: Array, *, upper: int = END, n_step: int = 1, gamma: float, history: int = 1,
        asked: Array = NOWHERE,
    ) -> Batch:  # fmt: skip
        """The batch of drawn rows, see `sample`; at the places `asked` with the action that the
        robot was asked for in place of the executed one."""
        return self._gatherer.gather(
            rows, upper=upper, n_step=n_step, gamma=gamma, history=history, asked=asked
        )

    def _parts(self, pool: Pool, upper: int, history: int) -> list[Part]:
        """The slices a pool is made of, actors in the order in which they first appeared."""
        if (pool, upper, history) in self._known:
            return self._known[pool, upper, history]
        if pool == "online":
            found = [(ring, ring.steps) for ring in self._actors.values()]
        elif pool == "demo":
            found = [(ring, ring.human) for ring in self._actors.values() if len(ring.human)]
            found.insert(0, (self._demos, self._demos.steps))
        else:
            raise ConfigError(f"unknown pool '{pool}': {suggest(pool, ('online', 'demo'))}")
        parts = [(ring, counts, *ring.window(counts, upper, history)) for ring, counts in found]
        self._known[pool, upper, history] = [part for part in parts if part[3] > part[2]]
        return self._known[pool, upper, history]

    def _check(self, records: Array, sender: str) -> None:
        if records.dtype != self._dtype:
            raise SpecError(f"replay: records of {sender} have another dtype than the spec's")
        if why := poisoned(records):
            raise PoisonedDataError(f"replay: records of {sender} refused: {why}; valid: finite")

    def _ring(self, actor: str) -> Ring:
        if actor not in self._actors:
            if len(self._actors) == len(self._rings):
                raise ConfigError(
                    f"replay has room for {len(self._rings)} actors ({', '.join(self._actors)}); "
                    f"'{actor}' is one too many; valid: actors={len(self._rings) + 1} in a new "
                    "session (resume=<run>), or an id that the log knows"
                )
            self._actors[actor] = self._rings[len(self._actors)]
        return self._actors[actor]

    def _apply_pending(self, upper: int) -> None:
        while self._pending and self._pending[0].position < upper:
            self._known.clear()
            amendment = self._pending.pop(0)
            self._applied.setdefault(amendment.key, []).append(amendment)
            self._apply(amendment)

    def _amend_again(self, ring: Ring, header: ChunkHeader, records: Array) -> None:
        """Amendments of an episode that still runs hold for its new rows."""
        for episode in np.unique(records["episode"]):
            for amendment in self._applied.get((header.actor, header.epoch, int(episode)), []):
                ring.amend(amendment, since=ring.head - len(records))

    def _apply(self, amendment: Amendment) -> None:
        ring = self._actors.get(amendment.actor)
        if ring is not None:
            ring.amend(amendment)
