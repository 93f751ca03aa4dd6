"""One file of a spool: a checked head (who, which epoch, which spec), then chunks.

Emptied files are written over, which is several times faster than new pages; so behind the last
chunk there may be older ones. They do not follow on in epoch and sequence, and end the file.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec
from crc32c import crc32c

from robot_rl.errors import UNREADABLE, DataError
from robot_rl.wire.chunk import HEADER_BYTES, check_payload, parse_header

_HEAD = struct.Struct("<8sII")
_MAGIC = b"RRLSPOOL"
MAX_LIFE_BYTES = 1 << 21


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

    def read(self, offset: int) -> Spooled:
        """The chunk at `offset`; raises DataError where there is none. The payload is unchecked."""
        packed = os.pread(self.descriptor, HEADER_BYTES, offset)
        header = parse_header(packed)
        start = offset + HEADER_BYTES
        there = max(0, os.fstat(self.descriptor).st_size - start)
        payload = os.pread(self.descriptor, min(header.payload_bytes, there), start)
        return Spooled(self.life, packed, payload, header.first_sequence + header.count)


def new_segment(path: Path, life: Life, next_sequence: int, spare: Path | None) -> Segment:
    """An empty segment at `path`, in a new file or over an emptied one (`spare`).

    Raises OSError where the disk does not take all of its head: a torn one would be thrown away
    with everything behind it.
    """
    text = msgspec.msgpack.encode(life)
    head = _HEAD.pack(_MAGIC, len(text), crc32c(text)) + text
    flags = os.O_RDWR | os.O_CLOEXEC
    if spare is None:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_TRUNC, 0o600)
    else:
        descriptor = os.open(spare, flags)
    wanted = head + bytes(HEADER_BYTES)  # the zeros end what was there before
    try:
        written = os.pwrite(descriptor, wanted, 0)
        if written != len(wanted):
            raise OSError(errno.ENOSPC, f"wrote {written} of {len(wanted)} bytes", str(path))
        if spare is not None:
            os.rename(spare, path)
    except OSError:
        os.close(descriptor)
        (spare or path).unlink(missing_ok=True)
        raise
    start = len(head)
    return Segment(path, life, descriptor, start, start, next_sequence, next_sequence)


def load_segment(path: Path) -> tuple[Segment | None, str]:
    """A segment of an earlier process, cut to its last whole chunk, and what was wrong behind it.

    None where not even the head is whole: nothing was committed there.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    life, start = _read_life(descriptor)
    if life is None:
        os.close(descriptor)
        return None, f"{path}: torn in its head"
    segment = Segment(path, life, descriptor, start, start, 0, 0, dirty=True)
    end, problem = os.fstat(descriptor).st_size, ""
    while segment.size < end:
        try:
            chunk = segment.read(segment.size)
            header = parse_header(chunk.header)
            check_payload(header, chunk.payload)
        except DataError as error:
            problem = f"{path}: {end - segment.size} bytes from byte {segment.size} on: {error}"
            break
        follows = segment.empty or header.first_sequence == segment.next_sequence
        if header.epoch != life.epoch or not follows:
            break
        if segment.empty:
            segment.first_sequence = header.first_sequence
        segment.next_sequence = chunk.next_sequence
        segment.size += len(chunk.header) + len(chunk.payload)
    os.ftruncate(descriptor, segment.size)
    return segment, problem


def holds_records(directory: Path) -> bool:
    """Whether a spool that nobody uses has chunks, acknowledged or not, or amendments; changes
    nothing."""
    if any(directory.glob("*.amend")):
        return True
    for path in directory.glob("*.spool"):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            life, start = _read_life(descriptor)
            if life is not None and os.fstat(descriptor).st_size > start:
                return True
        finally:
            os.close(descriptor)
    return False


def _read_life(descriptor: int) -> tuple[Life | None, int]:
    """The checked head of a segment and the offset after it; (None, 0) if it is torn."""
    head = os.pread(descriptor, _HEAD.size, 0)
    if len(head) < _HEAD.size:
        return None, 0
    magic, size, crc = _HEAD.unpack(head)
    if magic != _MAGIC or size > min(MAX_LIFE_BYTES, os.fstat(descriptor).st_size):
        return None, 0
    text = os.pread(descriptor, size, _HEAD.size)
    if len(text) != size or crc32c(text) != crc:
        return None, 0
    try:
        return msgspec.msgpack.decode(text, type=Life), _HEAD.size + size
    except UNREADABLE:
        return None, 0
