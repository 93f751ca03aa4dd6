"""Index sets over the rows of a ring: ascending counts that grow at one end, expire at the other.

What a later record decides (an episode's success, its return) is a member only from that record on:
such a set holds beside each count the count of the record that decided it.
"""

from __future__ import annotations

import numpy as np

from robot_rl.types import Array


class Fifo:
    """Ascending counts; a view is one slice."""

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

    def drop(self, number: int) -> None:
        """Forgets the `number` oldest."""
        self._start += number

    def drop_below(self, count: int) -> None:
        """Forgets counts below `count`."""
        self.drop(int(np.searchsorted(self.view, count)))

    def remove(self, counts: Array) -> None:
        """Forgets single counts (an episode that was discarded)."""
        self.put(self.view[~np.isin(self.view, counts)])

    def put(self, counts: Array) -> None:
        """Holds these counts alone."""
        kept = np.array(counts)
        self._start = self._stop = 0
        self.append(kept)

    def before(self, seen: int) -> int:
        """How many of the view a reader of the first `seen` rows may see."""
        return int(self.view.searchsorted(seen))


class Decided(Fifo):
    """Counts with the count that decided each: `put_run` sets those of one episode."""

    def __init__(self) -> None:
        super().__init__()
        self._by = Fifo()

    def drop(self, number: int) -> None:
        super().drop(number)
        self._by.drop(number)

    def put_run(self, first: int, end: int, counts: Array) -> None:
        """Of the rows first … end these are members, decided by row `end`."""
        low, high = self.view.searchsorted((first, end + 1))
        by = np.full(len(counts), end)
        if low == len(self):
            self.append(counts)
            self._by.append(by)
        elif high > low or len(counts):
            for fifo, new in ((self, counts), (self._by, by)):
                fifo.put(np.concatenate([fifo.view[:low], new, fifo.view[high:]]))

    def before(self, seen: int) -> int:
        return self._by.before(seen)
