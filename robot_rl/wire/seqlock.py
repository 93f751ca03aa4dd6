"""A sequence lock in shared memory: one writer that never waits, readers that look again.

A number stands before the block: odd while the block is being written. A reader that finds it odd,
or changed behind its reading, has read a torn block. (Boehm, "Can seqlocks get along with
programming language memory models?", 2012; on processors that reorder stores, readers check a
checksum of the block besides.)
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import TypeVar

NUMBER_BYTES = 8
TRIES = 20
Value = TypeVar("Value")


class SeqLock:
    """The lock at byte `at` of a page.

    lock.begin(); write the block; lock.end()         # the one writer
    value = lock.read(look)                           # any reader; None while it stays torn
    """

    def __init__(self, page: mmap.mmap, at: int) -> None:
        self._page, self._at = page, at

    @property
    def number(self) -> int:
        """Twice the blocks written, and 1 more while one is being written."""
        return int.from_bytes(self._page[self._at : self._at + NUMBER_BYTES], "little")

    def begin(self) -> None:
        """The block is torn from now on; what a dead writer left half written stays so."""
        self._put(self.number | 1)

    def end(self) -> None:
        """The block is whole."""
        self._put(self.number + 1)

    def _put(self, number: int) -> None:
        """All eight bytes by one copy: struct.pack_into zeroes its target first, and a reader that
        saw the zero would take a torn block for a whole one."""
        self._page[self._at : self._at + NUMBER_BYTES] = number.to_bytes(NUMBER_BYTES, "little")

    def read(self, look: Callable[[], Value], tries: int = TRIES) -> Value | None:
        """What `look` gives of a block that was whole all the while; it may be called often."""
        for _ in range(tries):
            before = self.number
            if before % 2:
                continue
            value = look()
            if self.number == before:
                return value
        return None
