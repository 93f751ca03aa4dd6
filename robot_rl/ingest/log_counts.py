"""What each life of an actor has in a log, counted at ingest's start without reading its images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.data import codec
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.manifest import FILE, read_manifest
from robot_rl.data.segments import Entry, list_segments, read_payload, walk
from robot_rl.specs import EnvSpec
from robot_rl.types import Array
from robot_rl.wire.chunk import HEADER_BYTES, ChunkKind
from robot_rl.wire.record import Kind, record_dtype

LARGE_RECORD = 8192
"""Bytes above which only a record's first byte, its kind, is read."""


def open_log(path: Path, spec_json: str) -> LogWriter | None:
    """The log at `path`: gone on with, or made where a spec is given; None where neither is.

    Raises SpecError listing how the log's spec differs from the one given.
    """
    wanted = EnvSpec.from_json(spec_json.encode()) if spec_json else None
    if (path / FILE).exists():
        return LogWriter.open(path, wanted or read_manifest(path).spec)
    return LogWriter.create(path, wanted) if wanted is not None else None


@dataclass(slots=True)
class Count:
    """Records and, among them, STEPs."""

    records: int = 0
    steps: int = 0


def count_log(path: Path) -> dict[tuple[str, int], Count]:
    """Counts by (actor, epoch); raises DataError where the log is damaged."""
    spec = read_manifest(path).spec
    dtype = record_dtype(spec)
    counts: dict[tuple[str, int], Count] = {}
    for file in list_segments(path):
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for entry in walk(file):
                header = entry.header
                if header.kind == ChunkKind.AMEND:
                    continue
                if header.kind == ChunkKind.ENCODED:
                    lean = codec.decode_lean(read_payload(handle, entry, file), header.count, spec)
                    kinds = lean["kind"]
                else:
                    kinds = _kinds(handle, entry, dtype, file)
                count = counts.setdefault((header.actor, header.epoch), Count())
                count.records += header.count
                count.steps += int((kinds == Kind.STEP).sum())
        finally:
            os.close(handle)
    return counts


def _kinds(handle: int, entry: Entry, dtype: np.dtype, file: Path) -> Array:
    if dtype.itemsize <= LARGE_RECORD:
        return np.frombuffer(read_payload(handle, entry, file), dtype)["kind"]
    start = entry.offset + HEADER_BYTES
    offsets = range(start, start + entry.header.payload_bytes, dtype.itemsize)
    return np.frombuffer(b"".join(os.pread(handle, 1, at) for at in offsets), np.uint8)
