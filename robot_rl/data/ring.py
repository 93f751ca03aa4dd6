"""One actor's part of a store: a ring of rows, and the index sets over it.

Rows are counted from 0 for ever; count c lies in row base + c mod rows. A ring keeps `capacity`
rows behind every log position that is sampled at, and `rows - capacity` more as slack for records
that were read ahead of that position; so what a sample may see depends on the position alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from robot_rl.data.amend import Amendment, EpisodeColumns, apply
from robot_rl.data.index import Decided, Fifo
from robot_rl.data.store import Store
from robot_rl.errors import DataError
from robot_rl.types import Array, Source
from robot_rl.wire.record import training_steps

KINDS = ("online", "human", "intervention")
"""Index sets of single steps: all of them, those that a person chose or demonstrated, those that a
person chose while a policy ran."""
WHOLE = tuple(f"whole {kind}" for kind in KINDS)
"""The same steps, of episodes that have ended."""
SUCCESS = "success"
"""Steps of episodes that ended in success."""
GOOD_HUMAN = "successful human"
"""Those of them that a person chose or demonstrated."""
DECIDED = (*WHOLE, SUCCESS, GOOD_HUMAN)
"""What only the end of an episode decides."""


class Ring:
    """Rows base … base + rows of a store, filled by one actor."""

    def __init__(
        self,
        store: Store,
        base: int,
        rows: int,
        capacity: int,
        sets: Collection[str] = ("online", "human"),
        *,
        discount: float = 1.0,
        reward: tuple[float, float] = (1.0, 0.0),
    ) -> None:
        """sets: the index sets that are kept, of KINDS and DECIDED. discount: of the returns
        to go, where the store has them. reward: scale and shift."""
        self.base, self.rows, self.capacity = base, rows, capacity
        self.head = 0
        """Rows ever appended."""
        self.singles = {name: Fifo() for name in KINDS if name in sets}
        self.decided = {name: Decided() for name in DECIDED if name in sets}
        self._store, self._discount, self._reward = store, discount, reward
        self._returns = "return_to_go" in store.columns
        self._last_position = -1
        self._run = 0
        """Count of the first record of the unbroken run that the newest one belongs to."""

    def index(self, name: str = "") -> Fifo:
        """The index set of that name, or the only one."""
        sets: dict[str, Fifo] = {**self.singles, **self.decided}
        return sets[name or next(iter(sets))]

    def row(self, count: Array) -> Array:
        """Where counts lie in the store."""
        if self.head <= self.rows:
            return self.base + count
        return self.base + count % self.rows

    def append(self, records: Array, *, position: int, epoch: int) -> None:
        """Takes records (n,) of one actor, the first at log position `position`."""
        start = 0
        while start < len(records):
            # One contiguous run of rows; and the record before it must survive, to be linked.
            room = min(self.rows - self.head % self.rows, max(1, self.rows - 1))
            self._append(records[start : start + room], position + start, epoch)
            start += room

    def _append(self, records: Array, position: int, epoch: int) -> None:
        columns, count, size = self._store.columns, self.head, len(records)
        first = self.base + count % self.rows
        before = self.base + (count - 1) % self.rows
        at = slice(first, first + size)
        linked = self._linked(records, before, epoch)
        self._copy(records, at)
        columns["epoch"][at] = epoch
        columns["position"][at] = np.arange(position, position + size)
        columns["keep"][at] = linked
        rows = np.arange(first - 1, first + size + 1)
        columns["prev"][at] = np.where(linked, rows[:-2], -1)
        columns["next"][at] = -1
        columns["next"][first : first + size - 1] = np.where(linked[1:], rows[2:-1], -1)
        if linked[0]:
            columns["prev"][first] = before
            columns["next"][before] = first
        self.head += size
        self._last_position = position + size - 1
        for name, fifo in self.singles.items():
            members = linked if name == "online" else linked & _chosen(records["source"], name)
            if members.any():
                fifo.append(count + np.flatnonzero(members))
        if self.decided or self._returns:
            self._follow(count, linked, columns["ended"][at])
        self._evict()

    def _follow(self, count: int, linked: Array, ended: Array) -> None:
        """Settles each run of records that ends among those appended from `count` on."""
        for place in np.flatnonzero(~linked | ended).tolist():
            if not linked[place]:
                self._run = count + place
            elif ended[place]:
                self._settle(self._run, count + place)

    def _settle(self, first: int, end: int) -> None:
        """The episode of rows first … end has ended: what only its end decides."""
        columns = self._store.columns
        counts = np.arange(max(first, self.head - self.rows), end + 1)
        rows = self.row(counts)
        if self._returns:
            total = columns["return_to_go"]
            for row in rows[::-1].tolist():
                after = columns["next"][row]
                later = self._discount * total[after] if after >= 0 else 0.0
                total[row] = columns["reward"][row] + later
        keep = columns["keep"][rows]
        kept, source = counts[keep], columns["source"][rows[keep]]
        good = len(kept) > 0 and columns["success"][rows[keep][-1]] == 1
        for name, members in self.decided.items():
            if name == SUCCESS:
                mine = kept if good else kept[:0]
            elif name == GOOD_HUMAN:
                mine = kept[_chosen(source, "human") & good]
            else:
                kind = name.removeprefix("whole ")
                mine = kept if kind == "online" else kept[_chosen(source, kind)]
            members.put_run(first, end, mine)

    def _linked(self, records: Array, before: int, epoch: int) -> Array:
        """(n,) bool: the record goes on where the one before it in the ring left off."""
        linked = training_steps(records)
        if len(records) > 1:
            episode, sequence = records["episode"], records["sequence"]
            linked[1:] &= episode[1:] == episode[:-1]
            linked[1:] &= sequence[1:] == sequence[:-1] + 1
            linked[1:] &= (records["terminated"] | records["truncated"])[:-1] == 0
        if linked[0]:
            columns = self._store.columns
            linked[0] = (
                self.head > 0
                and columns["epoch"][before] == epoch
                and columns["episode"][before] == records["episode"][0]
                and int(columns["sequence"][before]) + 1 == records["sequence"][0]
                and not columns["ended"][before]
            )
        return linked

    def _copy(self, records: Array, at: slice) -> None:
        store, columns = self._store, self._store.columns
        for name, array in store.obs.items():
            array[at] = records[f"obs.{name}"]
        store.action[at] = store.proposed[at] = records["action"]
        own = (records["source"] == Source.POLICY) | (records["source"] == Source.RANDOM)
        store.proposed[at][own] = records["proposed"][own]
        for name in ("reward", "sequence", "episode", "step", "source", "success"):
            columns[name][at] = records[name]
        if self._reward != (1.0, 0.0):
            scale, shift = self._reward
            columns["reward"][at] = scale * records["reward"] + shift
        terminated = records["terminated"]
        np.subtract(1, terminated, out=columns["mask"][at], dtype=np.float32)
        columns["ended"][at] = terminated | records["truncated"]

    def _evict(self) -> None:
        """The oldest row left has lost its predecessor: it stays as an observation only."""
        oldest = self.head - self.rows
        if oldest > 0:
            self._store.columns["prev"][self.base + oldest % self.rows] = -1
            for fifo in (*self.singles.values(), *self.decided.values()):
                fifo.drop_below(oldest + 1)

    def amend(self, amendment: Amendment, since: int = 0) -> None:
        """Applies an amendment to its episode's rows that are in the ring, from count `since` on.

        An episode may be amended while it still runs, so its later rows are amended on arrival.
        """
        columns = self._store.columns
        counts = np.arange(max(since, self.head - self.rows), self.head)
        rows = self.row(counts)
        mine = columns["episode"][rows] == amendment.episode
        mine &= columns["epoch"][rows] == amendment.epoch
        counts, rows = counts[mine], rows[mine]
        episode = EpisodeColumns(
            position=columns["position"][rows],
            step=columns["step"][rows],
            keep=columns["keep"][rows],
            reward=columns["reward"][rows],
            terminated=columns["mask"][rows] == 0,
            success=columns["success"][rows],
        )
        was_kept = episode.keep.copy()
        apply(self._scaled(amendment), episode)
        columns["keep"][rows] = episode.keep
        columns["reward"][rows] = episode.reward
        columns["mask"][rows] = 1 - episode.terminated.astype(np.float32)
        columns["success"][rows] = episode.success
        self._relink(rows, episode)
        for fifo in self.singles.values():
            fifo.remove(counts[was_kept & ~episode.keep])
        if self.decided or self._returns:
            self._settle_again(amendment)

    def _scaled(self, amendment: Amendment) -> Amendment:
        if amendment.reward is None:
            return amendment
        scale, shift = self._reward
        return replace(amendment, reward=scale * amendment.reward + shift)

    def _settle_again(self, amendment: Amendment) -> None:
        """The newest unbroken run of the amended episode, if it has ended."""
        columns = self._store.columns
        counts = np.arange(max(0, self.head - self.rows), self.head)
        rows = self.row(counts)
        mine = columns["episode"][rows] == amendment.episode
        mine &= columns["epoch"][rows] == amendment.epoch
        counts, rows = counts[mine], rows[mine]
        if not len(rows) or not columns["ended"][rows[-1]]:
            return
        sequence = columns["sequence"][rows]
        breaks = np.flatnonzero(sequence[1:] != sequence[:-1] + 1)
        first = int(breaks[-1]) + 1 if len(breaks) else 0
        self._settle(int(counts[first]), int(counts[-1]))

    def _relink(self, rows: Array, episode: EpisodeColumns) -> None:
        """No return is summed and no history reaches across what was cut out of an episode."""
        columns = self._store.columns
        before = columns["prev"][rows]
        columns["next"][before[before >= 0]] = -1
        before[~episode.keep] = columns["prev"][rows[~episode.keep]] = -1
        goes_on = (before >= 0) & (columns["mask"][before] > 0)
        columns["next"][before[goes_on]] = rows[goes_on]

    def window(self, counts: Fifo, upper: int, history: int = 1, since: int = 0) -> tuple[int, int]:
        """The slice of `counts.view` that a sample of log positions since … upper may use.

        With a history window of `history`, every observation in it lies in the ring too. Raises
        DataError where rows it needs were overwritten by records read too far ahead.
        """
        seen = self.head if self._last_position < upper else self._seen(upper)
        first = seen - self.capacity
        if first < self.head - self.rows:
            raise DataError(
                f"replay was fed {self.head - seen} records beyond position {upper}; at most "
                f"{self.rows - self.capacity} may be read ahead once the ring is full"
            )
        view = counts.view
        start = int(view.searchsorted(first + history)) if first > 0 else 0
        if since > 0:
            start = max(start, int(view.searchsorted(self._seen(since))))
        stop = len(view) if seen == self.head else counts.before(seen)
        return start, max(stop, start)

    def _seen(self, upper: int) -> int:
        """Rows appended with log positions below `upper`."""
        low, high = max(0, self.head - self.rows), self.head
        position = self._store.columns["position"]
        while low < high:
            middle = (low + high) // 2
            if position[self.base + middle % self.rows] < upper:
                low = middle + 1
            else:
                high = middle
        return low


def _chosen(source: Array, kind: str) -> Array:
    """(n,) bool: whose action a person chose (human: or demonstrated)."""
    chosen: Array = source == Source.HUMAN
    return chosen | (source == Source.DEMO) if kind == "human" else chosen
