"""One actor's part of a store: a ring of rows, and the index sets over it.

Rows are counted from 0 for ever; count c lies in row base + c mod rows. A ring keeps `capacity`
rows behind every log position that is sampled at, and `rows - capacity` more as slack for records
that were read ahead of that position; so what a sample may see depends on the position alone.
"""

from __future__ import annotations

import numpy as np

from robot_rl.data.amend import Amendment, EpisodeColumns, apply
from robot_rl.data.store import Store
from robot_rl.errors import DataError
from robot_rl.types import Array, Source
from robot_rl.wire.record import Kind


class Fifo:
    """Ascending counts that grow at one end and expire at the other; a view is one slice."""

    def __init__(self) -> None:
        self._data = np.empty(1024, np.int64)
        self._start = self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def view(self) -> Array:
        """The counts, oldest first; valid until the next change."""
        return self._data[self._start : self._stop]

    def append(self, counts: Array) -> None:
        """Adds counts above all that are there."""
        if self._stop + len(counts) > len(self._data):
            held = self.view
            if 2 * (len(held) + len(counts)) > len(self._data):
                self._data = np.empty(4 * (len(held) + len(counts)), np.int64)
            self._data[: len(held)] = held
            self._start, self._stop = 0, len(held)
        self._data[self._stop : self._stop + len(counts)] = counts
        self._stop += len(counts)

    def drop_below(self, count: int) -> None:
        """Forgets counts below `count`."""
        self._start += int(np.searchsorted(self.view, count))

    def remove(self, counts: Array) -> None:
        """Forgets single counts (an episode that was discarded)."""
        left = self.view[~np.isin(self.view, counts)]
        self._data[self._start : self._start + len(left)] = left
        self._stop = self._start + len(left)


class Ring:
    """Rows base … base + rows of a store, filled by one actor."""

    def __init__(self, store: Store, base: int, rows: int, capacity: int) -> None:
        self.base, self.rows, self.capacity = base, rows, capacity
        self.head = 0
        """Rows ever appended."""
        self.steps, self.human = Fifo(), Fifo()
        """Counts of the transitions; of those whose action a person chose."""
        self._store = store
        self._last_position = -1

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
        self.steps.append(count + np.flatnonzero(linked))
        source = records["source"]
        by_person = linked & ((source == Source.HUMAN) | (source == Source.DEMO))
        if by_person.any():
            self.human.append(count + np.flatnonzero(by_person))
        self._evict()

    def _linked(self, records: Array, before: int, epoch: int) -> Array:
        """(n,) bool: the record goes on where the one before it in the ring left off."""
        linked = records["kind"] == Kind.STEP
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
        store.action[at] = store.asked[at] = records["action"]
        own = (records["source"] == Source.POLICY) | (records["source"] == Source.RANDOM)
        store.asked[at][own] = records["proposed"][own]
        for name in ("reward", "sequence", "episode", "step", "source", "success"):
            columns[name][at] = records[name]
        terminated = records["terminated"]
        np.subtract(1, terminated, out=columns["mask"][at], dtype=np.float32)
        columns["ended"][at] = terminated | records["truncated"]

    def _evict(self) -> None:
        """The oldest row left has lost its predecessor: it stays as an observation only."""
        oldest = self.head - self.rows
        if oldest > 0:
            self._store.columns["prev"][self.base + oldest % self.rows] = -1
            self.steps.drop_below(oldest + 1)
            self.human.drop_below(oldest + 1)

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
        apply(amendment, episode)
        columns["keep"][rows] = episode.keep
        columns["reward"][rows] = episode.reward
        columns["mask"][rows] = 1 - episode.terminated.astype(np.float32)
        columns["success"][rows] = episode.success
        self._relink(rows, episode)
        self.steps.remove(counts[was_kept & ~episode.keep])
        self.human.remove(counts[was_kept & ~episode.keep])

    def _relink(self, rows: Array, episode: EpisodeColumns) -> None:
        """No return is summed and no history reaches across what was cut out of an episode."""
        columns = self._store.columns
        before = columns["prev"][rows]
        columns["next"][before[before >= 0]] = -1
        before[~episode.keep] = columns["prev"][rows[~episode.keep]] = -1
        goes_on = (before >= 0) & (columns["mask"][before] > 0)
        columns["next"][before[goes_on]] = rows[goes_on]

    def window(self, counts: Fifo, upper: int, history: int) -> tuple[int, int]:
        """The slice of `counts.view` that a sample at log position `upper` may use.

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
        stop = len(view) if seen == self.head else int(view.searchsorted(seen))
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
