"""Makes checksums true, so that a fuzzer gets behind them: an attacker can compute them too."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import msgspec
from crc32c import crc32c

from robot_rl.wire.chunk import HEADER_BYTES, MAGIC, VERSION, ChunkKind

COUNT, SIZE, POSITION = 64, 72, 56
"""Offsets in a chunk header (docs/data.md)."""


def chunk(head: bytes, payload: bytes) -> bytes:
    """The chunk with magic, version, size and both checksums right; other fields as they are."""
    body = bytearray(head.ljust(HEADER_BYTES, b"\0")[:HEADER_BYTES])
    body[:6] = MAGIC + struct.pack("<H", VERSION)
    struct.pack_into("<II", body, SIZE, len(payload), crc32c(payload))
    struct.pack_into("<I", body, HEADER_BYTES - 4, crc32c(bytes(body[: HEADER_BYTES - 4])))
    return bytes(body) + payload


def chunks(data: bytes, *, positions: bool = True) -> bytes:
    """A run of chunks: each header's own size (16 bits of it) says where the next one begins."""
    out, offset, position = [], 0, 0
    while offset < len(data):
        head = bytearray(data[offset : offset + HEADER_BYTES].ljust(HEADER_BYTES, b"\0"))
        size = struct.unpack_from("<I", head, SIZE)[0] & 0xFFFF
        start = offset + HEADER_BYTES
        if positions:
            struct.pack_into("<Q", head, POSITION, position)
            if struct.unpack_from("<H", head, 6)[0] != ChunkKind.AMEND:
                position += struct.unpack_from("<I", head, COUNT)[0]
        out.append(chunk(bytes(head), data[start : start + size]))
        offset = start + size
    return b"".join(out)


def spool(data: bytes) -> bytes:
    """A spool segment: head (its size cut to 16 bits and to what is there), then chunks."""
    head = data[:16].ljust(16, b"\0")
    size = struct.unpack_from("<I", head, 8)[0] & 0xFFFF
    text = data[16 : 16 + size]
    start = b"RRLSPOOL" + struct.pack("<II", len(text), crc32c(text)) + text
    return start + chunks(data[16 + size :], positions=False)


def manifest(data: bytes) -> bytes:
    """A manifest whose `spec_sha256` belongs to its spec; unchanged where there is no spec."""
    raw = _mapping(data)
    if not isinstance(raw.get("spec"), dict):
        return data
    text = msgspec.json.encode(raw["spec"], order="sorted")
    return msgspec.json.encode(raw | {"spec_sha256": hashlib.sha256(text).hexdigest()})


def sums(files: dict[str, bytes]) -> bytes:
    """SHA256SUMS of the files of a checkpoint."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()]
    return "".join(lines).encode()


def _mapping(data: bytes) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}
