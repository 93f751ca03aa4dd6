"""A single-writer, single-reader ring of fixed-size records in shared memory that outlives both.

File: a header page (identity, then the two counters on cache lines of their own), the spec as JSON,
then `slots` slots of [position u64, crc32c u32, unused u32, record]. Position p lies in slot
p % slots. The writer fills a slot before it moves `head`; the reader moves `tail` only when what it
read is safe elsewhere, so a reader that dies in between reads it again. The checksum in the slot
also guards against a machine that reorders the stores: a slot that does not fit yet is read later.
One file is one life (epoch) of the writer, which holds a lock on it while it lives.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crc32c import crc32c

from robot_rl.errors import DataError, WireError
from robot_rl.types import Array
from robot_rl.wire.locks import try_lock, unlock

MAGIC = b"RRLRING1"
_IDENTITY = struct.Struct("<8sQQQQQ32s")  # magic, epoch, generation, record, slots, spec, actor
_COUNTER = struct.Struct("<Q")
_HEAD, _TAIL, _CLOSED = 256, 320, 384
_PAGE = 4096
_SLOT = struct.Struct("<QII")
MAX_SPEC_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RingIdentity:
    """Whose records a ring holds."""

    actor: str
    epoch: int
    generation: int
    """Orders the lives of one actor: 1, 2, ..."""
    record_bytes: int
    slots: int
    spec: bytes
    """Canonical JSON of the EnvSpec."""


def _data_offset(spec_bytes: int) -> int:
    return -(-(_PAGE + spec_bytes) // _PAGE) * _PAGE


def ring_paths(directory: Path, actor: str) -> list[Path]:
    """The rings of an actor, oldest life first."""
    return sorted(directory.glob(f"{actor}.????????.ring"))


class RingWriter:
    """The actor's side: `if not ring.try_write(record): hold("the ring is full")`.

    Costs a copy and a checksum; never a system call, a lock or a wait.
    """

    def __init__(
        self, directory: Path, actor: str, epoch: int, spec: bytes, record_bytes: int, slots: int
    ) -> None:
        """Makes the ring of a new life of `actor`; older ones stay for the reader to drain."""
        generation = 1 + max(
            (int(p.suffixes[-2][1:]) for p in ring_paths(directory, actor)), default=0
        )
        self.identity = RingIdentity(actor, epoch, generation, record_bytes, slots, spec)
        self.path = directory / f"{actor}.{generation:08d}.ring"
        self._offset = _data_offset(len(spec))
        self._stride = _SLOT.size + -(-record_bytes // 8) * 8
        self.head = 0
        self._tail = 0
        aside = self.path.with_suffix(".new")
        self._file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        if not try_lock(self._file):
            raise WireError(f"{aside} is locked: two actors named '{actor}' start at once")
        os.ftruncate(self._file, self._offset + slots * self._stride)
        self._map = mmap.mmap(self._file, 0)
        _IDENTITY.pack_into(
            self._map, 0, MAGIC, epoch, generation, record_bytes, slots, len(spec), actor.encode()
        )
        self._map[_PAGE : _PAGE + len(spec)] = spec
        os.rename(aside, self.path)  # appears whole

    @property
    def room(self) -> int:
        """Free slots."""
        self._tail = _COUNTER.unpack_from(self._map, _TAIL)[0]
        return self.identity.slots - (self.head - self._tail)

    def try_write(self, record: bytes | memoryview) -> bool:
        """Adds one record of `record_bytes` bytes; False when the ring is full."""
        size = self.identity.record_bytes
        if len(record) != size:
            raise WireError(f"a record of {len(record)} bytes; valid: {size}")
        if self.head - self._tail >= self.identity.slots and self.room <= 0:
            return False
        start = self._offset + self.head % self.identity.slots * self._stride
        _SLOT.pack_into(self._map, start, self.head, crc32c(record), 0)
        start += _SLOT.size
        self._map[start : start + size] = record
        self.head += 1
        _COUNTER.pack_into(self._map, _HEAD, self.head)
        return True

    def close(self) -> None:
        """Says that no more will come; the reader drains and removes the file. Twice is fine."""
        if self._file >= 0:
            self._map.close()
            os.close(self._file)
            self._file = -1


class RingReader:
    """The I/O process's side.

    payload = reader.read(max_records)
    keep(payload)
    reader.release()
    """

    def __init__(self, path: Path) -> None:
        """Raises DataError on anything but a ring."""
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(self._file, 0)
            self.identity = self._identity()
        except (ValueError, DataError) as error:
            os.close(self._file)
            raise DataError(f"{path}: {error}") from error
        size = self.identity.record_bytes
        self._stride = _SLOT.size + -(-size // 8) * 8
        self._rows = np.frombuffer(
            self._map,
            np.uint8,
            self.identity.slots * self._stride,
            _data_offset(len(self.identity.spec)),
        ).reshape(self.identity.slots, self._stride)
        self._places = self._rows[:, :8].view("<u8")[:, 0]
        self._sums = self._rows[:, 8:12].view("<u4")[:, 0]
        self.position = self.tail

    def _identity(self) -> RingIdentity:
        if len(self._map) < _PAGE:
            raise DataError("not a ring: shorter than its header")
        magic, epoch, generation, size, slots, spec, name = _IDENTITY.unpack_from(self._map)
        if magic != MAGIC:
            raise DataError(f"ring magic {magic!r}; valid: {MAGIC!r}")
        stride = _SLOT.size + -(-size // 8) * 8
        if spec > MAX_SPEC_BYTES or len(self._map) != _data_offset(spec) + slots * stride:
            raise DataError("the ring's size does not match its header")
        actor = name.rstrip(b"\0").decode(errors="replace")
        text = bytes(self._map[_PAGE : _PAGE + spec])
        return RingIdentity(actor, epoch, generation, size, slots, text)

    @property
    def tail(self) -> int:
        """First position not yet released."""
        return int(_COUNTER.unpack_from(self._map, _TAIL)[0])

    @property
    def depth(self) -> int:
        """Records written and not yet read."""
        return int(_COUNTER.unpack_from(self._map, _HEAD)[0]) - self.position

    @property
    def readable(self) -> bool:
        """Whether the next record is there, whole and checked; asking takes nothing."""
        row = self.position % self.identity.slots
        size = self.identity.record_bytes
        payload = self._rows[row, _SLOT.size : _SLOT.size + size].tobytes()
        fits = self._places[row] == self.position and self._sums[row] == crc32c(payload)
        return self.depth > 0 and bool(fits)

    def seek(self, position: int) -> None:
        """Goes on at `position`; used after a restart when records beyond `tail` are kept."""
        self.position = max(self.position, position)

    def read(self, max_records: int) -> bytes:
        """Up to `max_records` whole, checked records; b"" when there is nothing (yet)."""
        slots = self.identity.slots
        count = min(max_records, self.depth)
        if count <= 0:
            return b""
        first = self.position % slots
        count = min(count, slots - first)  # the rest of a wrap comes with the next call
        part = slice(first, first + count)
        wanted = np.arange(self.position, self.position + count, dtype=np.uint64)
        good = self._places[part] == wanted
        if not good.all():
            count = int(np.argmin(good))
            part = slice(first, first + count)
        size = self.identity.record_bytes
        payload = self._rows[part, _SLOT.size : _SLOT.size + size].tobytes()
        count = self._whole(payload, self._sums[part])
        self.position += count
        return payload if count * size == len(payload) else payload[: count * size]

    def _whole(self, payload: bytes, sums: Array) -> int:
        """How many records from the first on have the checksum their slot says."""
        view = memoryview(payload)
        size = self.identity.record_bytes
        for row, expected in enumerate(sums.tolist()):
            if crc32c(view[row * size : (row + 1) * size]) != expected:
                return row
        return len(sums)

    def release(self) -> None:
        """Gives the slots of everything read so far back to the writer."""
        _COUNTER.pack_into(self._map, _TAIL, self.position)

    def writer_alive(self) -> bool:
        """Whether the process that made the ring still holds it."""
        if try_lock(self._file):
            unlock(self._file)
            return False
        return True

    def set_aside(self) -> Path:
        """Renames the file of a dead writer that cannot be read further, so that the next life is
        found; gives its new path."""
        aside = self.path.with_suffix(f".{self.identity.epoch:016x}.damaged")
        os.rename(self.path, aside)
        return aside

    def close(self, *, remove: bool = False) -> None:
        """Lets go of the ring; `remove` deletes it, for a dead writer's drained one."""
        if self._file >= 0:
            del self._rows, self._places, self._sums
            self._map.close()
            os.close(self._file)
            self._file = -1
            if remove:
                self.path.unlink(missing_ok=True)
