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
from robot_rl.errors import DataError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array
from robot_rl.wire.chunk import HEADER_BYTES, ChunkKind
from robot_rl.wire.record import HEAD_DTYPE, record_dtype, training_steps

LARGE_RECORD = 8192
"""Bytes above which only a record's head is read."""


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
    """What a life has in the log."""

    records: int = 0
    steps: int = 0
    """STEPs of training episodes."""
    episodes: int = 0
    """Its episodes have numbers below this."""


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
                    payload = read_payload(handle, entry, file)
                    heads = codec.decode_lean(payload, header.count, spec)
                else:
                    heads = _heads(handle, entry, dtype, file)
                if not header.count:
                    continue
                count = counts.setdefault((header.actor, header.epoch), Count())
                count.records += header.count
                count.steps += int(training_steps(heads).sum())
                count.episodes = max(count.episodes, 1 + int(heads["episode"].max()))
        finally:
            os.close(handle)
    return counts


def _heads(handle: int, entry: Entry, dtype: np.dtype, file: Path) -> Array:
    header = entry.header
    if header.payload_bytes != header.count * dtype.itemsize:
        raise DataError(f"{file} at byte {entry.offset}: records of another size than the spec's")
    if dtype.itemsize <= LARGE_RECORD:
        return np.frombuffer(read_payload(handle, entry, file), dtype)
    start = entry.offset + HEADER_BYTES
    offsets = range(start, start + header.payload_bytes, dtype.itemsize)
    size = HEAD_DTYPE.itemsize
    return np.frombuffer(b"".join(os.pread(handle, size, at) for at in offsets), HEAD_DTYPE)
