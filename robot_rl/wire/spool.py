"""The actor's append-only, checksummed store of chunks that are not yet acknowledged.

A record is *committed* once it is here. Segments `<number>.spool` each hold one life's chunks: a
checked head (who, which epoch, which spec), then chunks exactly as they are sent and logged. A torn
end is cut off when the spool is opened. A segment goes once everything in it is acknowledged.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.wire.chunk import ChunkHeader, pack_header
from robot_rl.wire.locks import FileLock
from robot_rl.wire.spool_segment import Life, Segment, Spooled, load_segment, new_segment

SEGMENT_BYTES = 64 << 20
SMALL_SEGMENT = 1 << 20
"""An acknowledged segment below this size is written on, not replaced."""
SPARES = 3
"""Emptied segments kept to be written over; they come on top of the bound."""
PARTS = 4
"""A spool's bound is cut into at least so many segments, so that acknowledging makes room."""


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
    identity: int = 0
    """Names the spool's lock: who holds it speaks for the actor, in place of who held it before."""
    torn: str = ""
    """What was cut off behind the last whole chunk: never committed, or left from an older use."""
    newest: tuple[int, int] = (0, 0)
    """(epoch, next sequence) behind the last chunk."""
    settled: tuple[int, int] = (0, 0)
    """(epoch, next sequence) of the last acknowledgement."""
    _cursor: tuple[int, int] = (0, 0)
    _number: int = 0
    _fresh: deque[tuple[Segment, int, Spooled]] = field(default_factory=deque)
    _fresh_size: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _lock: FileLock | None = None
    _spare: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Takes the spool's lock (InUseError if another I/O process has it) and reads it."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(self.directory / "lock", f"the spool {self.directory}")
        self.identity = self._lock.identity()
        for path in self.directory.glob("*.spare"):
            path.unlink()
        numbered = [path for path in self.directory.glob("*.spool") if path.stem.isdecimal()]
        for path in sorted(numbered, key=lambda path: int(path.stem)):
            self._number = int(path.stem)
            segment, problem = load_segment(path)
            self.torn = problem or self.torn
            if segment is None:
                path.unlink()
            else:
                self.segments.append(segment)
            if segment is not None and not segment.empty:
                self.newest = (segment.life.epoch, segment.next_sequence)
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
        """Commits a chunk; raises OSError when the disk cannot take it (nothing is kept then).

        What is acknowledged gives its room back first, so the next try may succeed.
        """
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
                self._make_room()
        if written != size:
            raise OSError(f"{segment.path}: wrote {written} of {size} bytes")
        following = header.first_sequence + header.count
        if self._fresh_size + size <= self.fresh_bytes:
            fresh = Spooled(segment.life, packed, payload, following)
            self._fresh.append((segment, segment.size, fresh))
            self._fresh_size += size
        segment.next_sequence = following
        self.newest = (segment.life.epoch, following)
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
        return segment.read(offset)

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
        self.settled = (epoch, next_sequence)
        for segment in list(self.segments[:-1]):
            if segment.life.epoch == epoch and segment.next_sequence <= next_sequence:
                self._drop(segment)
        if not self.segments:
            return
        last = self.segments[-1]
        done = last.life.epoch == epoch and last.next_sequence <= next_sequence
        small = min(SMALL_SEGMENT, self.max_bytes // PARTS)
        if done and last.size > small and len(self.segments) == 1:
            try:
                self._rotate(last.life, last.next_sequence)
            except OSError:  # no room for another file
                self._make_room()
            else:
                self._drop(last)

    def _make_room(self) -> None:
        """Cuts off a last segment that is acknowledged: on a full disk no new file replaces it."""
        last = self.segments[-1]
        if len(self.segments) > 1 or last.life.epoch != self.settled[0]:
            return
        if last.next_sequence <= self.settled[1] and not last.empty:
            os.ftruncate(last.descriptor, last.start)
            self.size -= last.size - last.start
            last.size, last.first_sequence = last.start, last.next_sequence
            self.rewind()

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
                os.ftruncate(segment.descriptor, segment.size)
                os.close(segment.descriptor)
        self.segments.clear()
        for path in self._spare:
            path.unlink(missing_ok=True)
        self._spare.clear()
        if self._lock is not None:
            self._lock.release()

    def _drop(self, segment: Segment) -> None:
        index, offset = self._cursor
        place = self.segments.index(segment)
        with self._guard:
            del self.segments[place]
        self._recycle(segment)
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
        spare = self._spare.pop() if self._spare else None
        segment = new_segment(path, life, next_sequence, spare)
        with self._guard:
            self.segments.append(segment)
        self.size += segment.size
        if len(self.segments) == 1:
            self.rewind()
        return segment

    def _recycle(self, segment: Segment) -> None:
        """Keeps a few files to be written over: that is several times faster than new pages."""
        os.close(segment.descriptor)
        if segment.size > SMALL_SEGMENT and len(self._spare) < SPARES:
            spare = segment.path.with_suffix(".spare")
            os.rename(segment.path, spare)
            self._spare.append(spare)
        else:
            segment.path.unlink(missing_ok=True)
