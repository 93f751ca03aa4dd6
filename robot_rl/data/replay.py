"""Replay: a preallocated view of the log (and of demonstrations) to sample from.

A row is a record, so a STEP in row i has its next observation in row i and its observation in the
row before; every observation is stored once. Online, demo and intervention buffers are index sets
over one store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args

import numpy as np

from robot_rl.data.amend import Amendment
from robot_rl.data.gather import Gatherer
from robot_rl.data.index import Fifo
from robot_rl.data.ring import DECIDED, GOOD_HUMAN, SUCCESS, Ring
from robot_rl.data.store import allocate, row_bytes
from robot_rl.errors import ConfigError, DataError, PoisonedDataError, SpecError, suggest
from robot_rl.sampling import Interventions, PoolName
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch
from robot_rl.wire.chunk import ChunkHeader
from robot_rl.wire.record import poisoned, record_dtype

Part = tuple[Ring, Fifo, int, int]
"""A slice (start, stop) of a ring's index set."""
END = 1 << 62
"""A log position behind every record."""
NOWHERE = np.empty(0, np.int64)
INDEX_BYTES = 32
"""At most, per row and index array, while they grow."""
POOLS: tuple[PoolName, ...] = get_args(PoolName)
DATASETS: tuple[PoolName, ...] = ("demo", "prior", "validation")
"""Pools that datasets fill."""
IN_THE_LOG: Mapping[PoolName, str] = {
    "online": "online", "demo": "human", "intervention": "intervention", "success": SUCCESS,
}  # fmt: skip
"""Pools that the log fills, and the index set of a ring each is."""


class Replay:
    """Stores records, gives batches.

    replay = Replay(spec, 200_000, streams=2, datasets={"demo": len(demos)})
    replay.add("demo", demos)
    replay.extend(chunk.header, chunk.records)
    batch = replay.sample(256, rng, upper=position)

    A sample is a pure function of the datasets, the log below `upper` and `rng`, as long as `upper`
    never goes back and records are read at most `slack` beyond it: what a later record decides (an
    amendment, an episode's success or return) counts only where that record lies below `upper`.
    """

    def __init__(
        self,
        spec: EnvSpec,
        capacity: int,
        *,
        streams: int = 1,
        datasets: Mapping[PoolName, int] | None = None,
        pools: Collection[PoolName] = ("online", "demo"),
        returns: float | None = None,
        reward: tuple[float, float] = (1.0, 0.0),
        interventions: Interventions = "all",
        memory_limit_gb: float | None = None,
        slack: int = 512,
    ) -> None:
        """capacity: online rows, shared evenly by `streams` actors (0 and 0: no log). datasets:
        records (starts included) that `add` will bring to each pool, never evicted. pools: which
        will be sampled. returns: the discount of the returns to go, None for none; with them only
        episodes that have ended are sampled. reward: scale and shift of every reward.
        interventions: whether the demo pool takes all steps that people chose, or those of
        successful episodes only, once these have ended.

        Raises ConfigError with the bytes needed and available before anything is allocated."""
        share = capacity // streams if streams > 0 else 0
        sizes = dict(datasets or {})
        if (share < 2 and (capacity, streams) != (0, 0)) or slack < 1:
            raise ConfigError(
                f"replay: capacity {capacity} for {streams} actors; valid: at least 2 rows an actor"
            )
        rows = share + slack
        total = streams * rows + sum(sizes.values())
        self.spec, self.slack, self.capacity, self.returns = spec, slack, capacity, returns
        self._sets = {
            pool: _set_of(pool, whole=returns is not None, interventions=interventions)
            for pool in IN_THE_LOG
        }
        sets = {self._sets[pool] for pool in pools if pool in IN_THE_LOG}
        arrays = len(sets) + sum(name in DECIDED for name in sets)
        self.store = allocate(
            spec, total, extra_bytes=total * arrays * INDEX_BYTES, limit_gb=memory_limit_gb,
            returns=returns is not None,
        )  # fmt: skip
        how: dict[str, Any] = {"discount": returns or 0.0, "reward": reward}
        self._rings = [Ring(self.store, i * rows, rows, share, sets, **how) for i in range(streams)]
        self._actors: dict[str, Ring] = {}
        self._datasets: dict[PoolName, Ring] = {}
        base = streams * rows
        for pool, size in sizes.items():
            kept = {self._sets["online"]}
            self._datasets[pool] = Ring(self.store, base, size, size, kept, **how)
            base += size
        self._dtype = record_dtype(spec)
        self._gatherer = Gatherer(self.store)
        self._known: dict[tuple[PoolName, int, int, int], list[Part]] = {}
        self._pending: list[Amendment] = []
        self._applied: dict[tuple[str, int, int], list[Amendment]] = {}
        self.position = 0
        """Log position behind the last record taken."""

    @property
    def bytes_per_row(self) -> int:
        return row_bytes(self.spec, returns=self.returns is not None)

    def extend(self, header: ChunkHeader, records: Array) -> None:
        """Takes a chunk from the log; position, actor and epoch are the header's.

        The log's records are known to be finite, since both ways into it look (the log committer,
        `LogWriter.append`), and its checksums have been read: they are not scanned again. Raises
        DataError on records that were taken already, ConfigError on one actor more than there are
        streams.
        """
        self._check_layout(records, header.actor)
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

    def add(self, pool: PoolName, records: Array) -> None:
        """Takes a dataset's episodes into a pool, one after the other, each from its START on.

        Raises PoisonedDataError on NaN or infinity: a dataset may be of any origin."""
        what = f"the dataset for '{pool}'"
        self._check_layout(records, what)
        if why := poisoned(records):
            raise PoisonedDataError(f"replay: records of {what} refused: {why}; valid: finite")
        ring = self._datasets.get(pool)
        room = 0 if ring is None else ring.rows - ring.head
        if len(records) > room:
            raise ConfigError(
                f"replay: {len(records)} records for pool '{pool}', room for {room}: datasets"
            )
        if ring is not None and len(records):
            # An epoch of its own: numbers of two datasets may continue each other by chance.
            self._known.clear()
            ring.append(records, position=-1 - len(records), epoch=ring.head)

    def amend(self, amendment: Amendment) -> None:
        """Takes an amendment from the log; it holds for samples with `upper` above its position."""
        self._pending.append(amendment)

    def size(self, pool: PoolName, upper: int = END, *, history: int = 1, since: int = 0) -> int:
        """Transitions that `sample` would draw from."""
        self._apply_pending(upper)
        return sum(stop - start for _, _, start, stop in self._parts(pool, upper, history, since))

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        pool: PoolName = "online",
        upper: int = END,
        since: int = 0,
        n_step: int = 1,
        gamma: float = 0.99,
        history: int = 1,
        horizon: int = 1,
    ) -> Batch:
        """n transitions, uniformly with replacement; the arrays are reused by the second next call.

        online: all transitions of the log; demo: demonstrations and what people did online; for
        the others see `PoolName`. Log positions below `since` are left out.
        Rewards are summed over `n_step` steps, fewer where the episode ends or the log below
        `upper` does; the mask is 0 only where it terminated within them; `discount` is gamma to
        the power of the steps really summed. history > 1 adds a time axis (n, history, ...).
        horizon > 1 gives as many actions, see `Batch`; the returns are then the horizon's.
        Raises DataError on an empty pool.
        """
        rows = self.draw(n, rng, pool, upper, history, since)
        return self.gather(
            rows, upper=upper, n_step=n_step, gamma=gamma, history=history, horizon=horizon
        )

    def draw(
        self, n: int, rng: np.random.Generator, pool: PoolName, upper: int = END,
        history: int = 1, since: int = 0,
    ) -> Array:  # fmt: skip
        """Rows (n,) of the store, drawn uniformly from a pool."""
        self._apply_pending(upper)
        parts = self._parts(pool, upper, history, since)
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
        horizon: int = 1, proposed: Array = NOWHERE,
    ) -> Batch:  # fmt: skip
        """The batch of drawn rows, see `sample`; at the places `proposed` with the action that the
        policy proposed in place of the executed one."""
        return self._gatherer.gather(
            rows, upper=upper, n_step=n_step, gamma=gamma, history=history, horizon=horizon,
            proposed=proposed,
        )  # fmt: skip

    def observations(self, upper: int = END) -> dict[str, Array]:
        """What is at hand before learning begins, images left out: the observations of the
        datasets' transitions, or, where there are none, of the log's below `upper`."""
        self._apply_pending(upper)
        parts: list[Part] = []
        for pool in ("demo", "prior"):
            if (ring := self._datasets.get(pool)) is not None:
                parts.append((ring, ring.index(), *ring.window(ring.index(), END)))
        if not any(stop > start for _, _, start, stop in parts) and self._actors:
            parts = self._parts("online", upper, 1, 0)
        rows = [ring.row(counts.view[start:stop]) for ring, counts, start, stop in parts]
        place = np.concatenate([NOWHERE, *rows])
        return {name: self.store.obs[name][place] for name in self.spec.vector_keys}

    def _parts(self, pool: PoolName, upper: int, history: int, since: int) -> list[Part]:
        """The slices a pool is made of: the dataset's, then the actors' in the order in which they
        first appeared."""
        key = pool, upper, history, since
        if key in self._known:
            return self._known[key]
        if pool not in POOLS:
            raise ConfigError(f"unknown pool '{pool}': {suggest(pool, POOLS)}")
        parts: list[Part] = []
        if (ring := self._datasets.get(pool)) is not None:
            fifo = ring.index()
            parts.append((ring, fifo, *ring.window(fifo, END, history)))
        if pool in IN_THE_LOG:
            for ring in self._actors.values():
                fifo = ring.index(self._sets[pool])
                parts.append((ring, fifo, *ring.window(fifo, upper, history, since)))
        self._known[key] = [part for part in parts if part[3] > part[2]]
        return self._known[key]

    def _check_layout(self, records: Array, sender: str) -> None:
        if records.dtype != self._dtype:
            raise SpecError(f"replay: records of {sender} have another dtype than the spec's")

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


def _set_of(pool: PoolName, *, whole: bool, interventions: Interventions) -> str:
    """The index set of a ring that a pool of the log is."""
    name = IN_THE_LOG[pool]
    if pool == "demo" and interventions == "success":
        return GOOD_HUMAN
    return f"whole {name}" if whole and name != SUCCESS else name
