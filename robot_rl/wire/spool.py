"""The actor's append-only, checksummed store of chunks that are not yet acknowledged.

A record is *committed* once it is here. Segments `<number>.spool` each hold one life's chunks: a
checked head (who, which epoch, which spec), then chunks exactly as they are sent and logged. A torn
end is cut off when the spool is opened. A segment goes once everything in it is acknowledged.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from crc32c import crc32c

from robot_rl.errors import DataError
from robot_rl.wire.chunk import (
    HEADER_BYTES,
    ChunkHeader,
    check_payload,
    pack_header,
    parse_header,
)
from robot_rl.wire.locks import FileLock

_HEAD = struct.Struct("<8sII")
_MAGIC = b"RRLSPOOL"
SEGMENT_BYTES = 64 << 20
SMALL_SEGMENT = 1 << 20
"""An acknowledged segment below this size is written on, not replaced."""
PARTS = 4
"""A spool's bound is cut into at least so many segments, so that acknowledging makes room."""


class Life(msgspec.Struct, frozen=True):
    """One epoch of an actor and the shape of its records."""

    actor: str
    epoch: int
    record_bytes: int
    spec: bytes


@dataclass(frozen=True, slots=True)
class Spooled:
    """A chunk on its way out."""

    life: Life
    header: bytes
    payload: bytes
    next_sequence: int


@dataclass(slots=True)
class Segment:
    """One file."""

    path: Path
    life: Life
    descriptor: int
    start: int
    """Offset of the first chunk."""
    size: int
    first_sequence: int
    next_sequence: int
    dirty: bool = False

    @property
    def empty(self) -> bool:
        return self.size == self.start


@dataclass(slots=True)
class Spool:
    """Appends, gives chunks to send in order, forgets what is acknowledged.

    spool.begin(life)
    spool.append(header, payload)
    while (chunk := spool.peek()):
        send(chunk); spool.advance(chunk)
    spool.acknowledge(epoch, next_sequence)
    """

    directory: Path
    max_bytes: int
    fresh_bytes: int = 32 << 20
    """Memory for chunks that are sent without being read back."""
    segments: list[Segment] = field(default_factory=list)
    size: int = 0
    lost: str = ""
    """What the last life's end was cut off for, "" when nothing was."""
    _cursor: tuple[int, int] = (0, 0)
    _number: int = 0
    _fresh: deque[tuple[Segment, int, Spooled]] = field(default_factory=deque)
    _fresh_size: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _lock: FileLock | None = None

    def __post_init__(self) -> None:
        """Takes the spool's lock (InUseError if another I/O process has it) and reads it."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(self.directory / "lock", f"the spool {self.directory}")
        for path in sorted(self.directory.glob("*.spool")):
            self._number = int(path.stem)
            if (segment := self._load(path)) is not None:
                self.segments.append(segment)
        self.size = sum(segment.size for segment in self.segments)
        self.rewind()

    @property
    def full(self) -> bool:
        return self.size >= self.max_bytes

    def begin(self, life: Life) -> None:
        """Chunks of `life` come now; ends the segment of an older one."""
        if self.segments and self.segments[-1].life == life:
            return
        if self.segments and self.segments[-1].empty:
            self._drop(self.segments[-1])
        self._rotate(life, 0)

    def next_sequence(self, epoch: int) -> int:
        """First sequence of the epoch beyond what is here; 0 when nothing is."""
        return max((s.next_sequence for s in self.segments if s.life.epoch == epoch), default=0)

    def append(self, header: ChunkHeader, payload: bytes) -> None:
        """Commits a chunk; raises OSError when the disk cannot take it (nothing is kept then)."""
        segment = self.segments[-1]
        if segment.size > min(SEGMENT_BYTES, self.max_bytes // PARTS):
            segment = self._rotate(segment.life, segment.next_sequence)
        if segment.empty:
            segment.first_sequence = header.first_sequence
        packed = pack_header(header)
        size = len(packed) + len(payload)
        try:
            written = os.pwritev(segment.descriptor, [packed, payload], segment.size)
        except OSError:
            written = -1
            raise
        finally:
            if written != size:
                os.ftruncate(segment.descriptor, segment.size)
        if written != size:
            raise OSError(f"{segment.path}: wrote {written} of {size} bytes")
        following = header.first_sequence + header.count
        if self._fresh_size + size <= self.fresh_bytes:
            fresh = Spooled(segment.life, packed, payload, following)
            self._fresh.append((segment, segment.size, fresh))
            self._fresh_size += size
        segment.next_sequence = following
        segment.size += size
        segment.dirty = True
        self.size += size

    def peek(self) -> Spooled | None:
        """The next chunk to send, or None."""
        index, offset = self._cursor
        while index < len(self.segments) and offset >= self.segments[index].size:
            if index + 1 == len(self.segments):
                return None
            index, offset = index + 1, self.segments[index + 1].start
            self._cursor = (index, offset)
        if not self.segments:
            return None
        segment = self.segments[index]
        if self._fresh and self._fresh[0][0] is segment and self._fresh[0][1] == offset:
            return self._fresh[0][2]
        return self._read(segment, offset)

    def advance(self, chunk: Spooled) -> None:
        """Past the chunk that `peek` gave."""
        size = len(chunk.header) + len(chunk.payload)
        if self._fresh and self._fresh[0][2] is chunk:
            self._fresh.popleft()
            self._fresh_size -= size
        index, offset = self._cursor
        self._cursor = (index, offset + size)

    def rewind(self) -> None:
        """Sends everything that is here again."""
        self._cursor = (0, self.segments[0].start if self.segments else 0)
        self._fresh.clear()
        self._fresh_size = 0

    def acknowledge(self, epoch: int, next_sequence: int) -> None:
        """Forgets what lies below `next_sequence` of `epoch`, segment by segment."""
        for segment in list(self.segments[:-1]):
            if segment.life.epoch == epoch and segment.next_sequence <= next_sequence:
                self._drop(segment)
        if not self.segments:
            return
        last = self.segments[-1]
        done = last.life.epoch == epoch and last.next_sequence <= next_sequence
        small = min(SMALL_SEGMENT, self.max_bytes // PARTS)
        if done and last.size > small and len(self.segments) == 1:
            self._rotate(last.life, last.next_sequence)
            self._drop(last)

    def sync(self) -> None:
        """Makes what is here durable; may be called from another thread."""
        with self._guard:
            dirty = [s for s in self.segments if s.dirty]
            copies = [os.dup(s.descriptor) for s in dirty]
            for segment in dirty:
                segment.dirty = False
        for copy in copies:
            try:
                os.fdatasync(copy)
            finally:
                os.close(copy)

    def close(self, *, acknowledged: bool = False) -> None:
        """Frees the spool; `acknowledged` removes the segments, all of which are in the log."""
        for segment in list(self.segments):
            if acknowledged or segment.empty:
                self._drop(segment)
            else:
                os.close(segment.descriptor)
        self.segments.clear()
        if self._lock is not None:
            self._lock.release()

    def _drop(self, segment: Segment) -> None:
        index, offset = self._cursor
        place = self.segments.index(segment)
        with self._guard:
            del self.segments[place]
            os.close(segment.descriptor)
        segment.path.unlink(missing_ok=True)
        self.size -= segment.size
        if place < index:
            self._cursor = (index - 1, offset)
        elif place == index:
            self._cursor = (index, self.segments[index].start if index < len(self.segments) else 0)
        while self._fresh and self._fresh[0][0] is segment:
            _, _, chunk = self._fresh.popleft()
            self._fresh_size -= len(chunk.header) + len(chunk.payload)

    def _rotate(self, life: Life, next_sequence: int) -> Segment:
        self._number += 1
        path = self.directory / f"{self._number:08d}.spool"
        text = msgspec.msgpack.encode(life)
        head = _HEAD.pack(_MAGIC, len(text), crc32c(text)) + text
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.pwrite(descriptor, head, 0)
        segment = Segment(
            path, life, descriptor, len(head), len(head), next_sequence, next_sequence
        )
        with self._guard:
            self.segments.append(segment)
        self.size += len(head)
        if len(self.segments) == 1:
            self.rewind()
        return segment

    def _read(self, segment: Segment, offset: int) -> Spooled:
        packed = os.pread(segment.descriptor, HEADER_BYTES, offset)
        header = parse_header(packed)
        payload = os.pread(segment.descriptor, header.payload_bytes, offset + HEADER_BYTES)
        return Spooled(segment.life, packed, payload, header.first_sequence + header.count)

    def _load(self, path: Path) -> Segment | None:
        """Reads a segment of an earlier process, cutting off what is torn; None if all is."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        life, start = _read_life(descriptor)
        if life is None:
            os.close(descriptor)
            path.unlink()
            return None
        segment = Segment(path, life, descriptor, start, start, 0, 0)
        end = os.fstat(descriptor).st_size
        while segment.size < end:
            try:
                chunk = self._read(segment, segment.size)
                check_payload(parse_header(chunk.header), chunk.payload)
            except DataError as error:
                self.lost = f"{path}: cut off {end - segment.size} bytes at {segment.size}: {error}"
                os.ftruncate(descriptor, segment.size)
                break
            if segment.empty:
                segment.first_sequence = parse_header(chunk.header).first_sequence
            segment.next_sequence = chunk.next_sequence
            segment.size += len(chunk.header) + len(chunk.payload)
        return segment


def _read_life(descriptor: int) -> tuple[Life | None, int]:
    """The checked head of a segment and the offset after it; (None, 0) if it is torn."""
    head = os.pread(descriptor, _HEAD.size, 0)
    if len(head) < _HEAD.size:
        return None, 0
    magic, size, crc = _HEAD.unpack(head)
    text = os.pread(descriptor, min(size, 1 << 21), _HEAD.size)
    if magic != _MAGIC or len(text) != size or crc32c(text) != crc:
        return None, 0
    return msgspec.msgpack.decode(text, type=Life), _HEAD.size + size
