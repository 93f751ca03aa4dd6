"""A chunk: a checksummed run of records of one actor; what is spooled, sent, appended to the log.

Layout: a fixed 92-byte little-endian header, then `count` records (or one msgpack amendment).
CRC32C (Castagnoli) covers the payload; the header carries its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from crc32c import crc32c

from robot_rl.errors import DataError

MAGIC = b"RRLC"
VERSION = 1
_LAYOUT = struct.Struct("<4sHH32sQQQIIIIIII")
_CHECKED = struct.Struct("<4sHH32sQQQIIIIII")
HEADER_BYTES = _LAYOUT.size
MAX_PAYLOAD = 1 << 30


class ChunkKind(IntEnum):
    """What the payload is."""

    RECORDS = 0
    AMEND = 1
    ENCODED = 2
    """Records whose images are compressed (see data/codec.py)."""


_KINDS = {int(kind): kind for kind in ChunkKind}


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """What one chunk says of itself."""

    kind: ChunkKind
    actor: str
    """At most 32 bytes of UTF-8."""
    epoch: int
    first_sequence: int
    count: int
    record_bytes: int
    """Size of one decoded record; 0 for an amendment."""
    payload_bytes: int
    payload_crc: int
    position: int = 0
    """Log position of the first record, given by whoever appends to the log; 0 before."""


def make_header(
    kind: ChunkKind,
    payload: bytes | memoryview,
    *,
    actor: str,
    epoch: int,
    first_sequence: int,
    count: int,
    record_bytes: int,
) -> ChunkHeader:
    """Describes and checksums a payload."""
    return ChunkHeader(
        kind,
        actor,
        epoch,
        first_sequence,
        count,
        record_bytes,
        memoryview(payload).nbytes,
        crc32c(payload),
    )


def pack_header(header: ChunkHeader) -> bytes:
    """The 92 bytes; raises DataError on a field that does not fit."""
    name = header.actor.encode()
    if len(name) > 32 or not name:
        raise DataError(f"actor id '{header.actor}' must have 1 to 32 bytes")
    if header.payload_bytes > MAX_PAYLOAD:
        raise DataError(f"a chunk of {header.payload_bytes} bytes; at most {MAX_PAYLOAD}")
    body = _CHECKED.pack(
        MAGIC,
        VERSION,
        header.kind,
        name,
        header.epoch,
        header.first_sequence,
        header.position,
        header.count,
        header.record_bytes,
        header.payload_bytes,
        header.payload_crc,
        0,
        0,
    )
    return body + struct.pack("<I", crc32c(body))


def parse_header(data: bytes | memoryview) -> ChunkHeader:
    """Reads and checks a header; raises DataError saying what is wrong."""
    if len(data) != HEADER_BYTES:
        raise DataError(f"a chunk header of {len(data)} bytes; valid: {HEADER_BYTES}")
    fields = _LAYOUT.unpack(data)
    if fields[0] != MAGIC:
        raise DataError(f"chunk magic {fields[0]!r}; valid: {MAGIC!r}")
    if fields[-1] != crc32c(memoryview(data)[: _CHECKED.size]):
        raise DataError("the chunk header's checksum does not match")
    if fields[1] != VERSION:
        raise DataError(f"chunk format {fields[1]}; this version reads {VERSION}")
    kind = _KINDS.get(fields[2])
    if kind is None:
        raise DataError(f"chunk kind {fields[2]}; valid: {list(_KINDS)}")
    if fields[9] > MAX_PAYLOAD:
        raise DataError(f"a chunk of {fields[9]} bytes; at most {MAX_PAYLOAD}")
    try:
        actor = fields[3].rstrip(b"\0").decode()
    except UnicodeDecodeError as error:
        raise DataError(f"the chunk's actor id is not UTF-8: {error}") from error
    return ChunkHeader(
        kind=kind,
        actor=actor,
        epoch=fields[4],
        first_sequence=fields[5],
        position=fields[6],
        count=fields[7],
        record_bytes=fields[8],
        payload_bytes=fields[9],
        payload_crc=fields[10],
    )


def check_payload(header: ChunkHeader, payload: bytes | memoryview) -> None:
    """Raises DataError if size or CRC32C of the payload differ from the header's."""
    size = memoryview(payload).nbytes
    if size != header.payload_bytes:
        raise DataError(f"a payload of {size} bytes; the header says {header.payload_bytes}")
    if crc32c(payload) != header.payload_crc:
        raise DataError("the payload's checksum does not match its header")
    if header.kind == ChunkKind.RECORDS and size != header.count * header.record_bytes:
        raise DataError(f"{size} bytes are not {header.count} records of {header.record_bytes}")
