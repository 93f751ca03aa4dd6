"""Reads an episode log from any position on, also while another process writes it."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robot_rl.data import codec
from robot_rl.data.manifest import VERSION, read_manifest, require_spec
from robot_rl.data.old_format import modern, stored_dtype
from robot_rl.data.segments import first_position, list_segments, read_payload, segment_name, walk
from robot_rl.errors import DataError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array
from robot_rl.wire import amendment
from robot_rl.wire.chunk import HEADER_BYTES, ChunkHeader, ChunkKind, check_payload, parse_header

BLOCK_BYTES = 8 << 20
MAX_RECORDS = 1 << 16
MAX_BYTES = 64 << 20
"""A poll stops behind the chunk that reaches this, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Records of one actor, in log order."""

    header: ChunkHeader
    """Says where they lie: `position`, `count`, actor, epoch. Checksum and sizes are those of the
    chunk as stored."""
    records: Array
    """(count,) of the spec's record dtype, whatever the log's format; read-only."""


class LogReader:
    """Tails a log.

    reader = LogReader(path, spec, position=0)
    while running:
        for chunk in reader.poll():
            replay.extend(chunk.header, chunk.records)
    """

    def __init__(self, path: Path | str, spec: EnvSpec | None = None, *, position: int = 0) -> None:
        """Raises DataError where there is no log, it is damaged, or ends before `position`;
        SpecError listing the differences where it is of another specification than `spec`."""
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        if spec is not None:
            require_spec(self.path, self.manifest, spec)
        self.spec = self.manifest.spec
        self.amendments: list[amendment.Amendment] = []
        """Amendments met so far, in log order, those before the start position included."""
        self._stored = stored_dtype(self.manifest.version, self.spec)
        self._old = self.manifest.version != VERSION
        self._file: Path | None = None
        self._handle, self._offset, self._read = -1, 0, 0
        self._rest: LogChunk | None = None
        self.position = 0
        """Position of the next record that `poll` gives."""
        if position:
            self._seek(position)

    def poll(self, max_records: int = MAX_RECORDS) -> list[LogChunk]:
        """The next chunks, at most `max_records` records (a chunk may be given in two parts).

        Empty when nothing new is there; a chunk that is still being written is not there yet.
        Raises DataError naming file and offset on damage.
        """
        chunks: list[LogChunk] = []
        left = max_records
        size = 0
        while left > 0 and size < MAX_BYTES:
            if self._rest is None:
                self._rest = self._next()
            if self._rest is None:
                break
            chunk, self._rest = _split(self._rest, left)
            chunks.append(chunk)
            left -= chunk.header.count
            size += chunk.records.nbytes
            self.position += chunk.header.count
        return chunks

    def chunks(self) -> Iterator[LogChunk]:
        """Everything that is in the log now, from `position` on."""
        while found := self.poll():
            yield from found

    def close(self) -> None:
        """Frees the file; may be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", -1) >= 0:
            self.close()

    def _next(self) -> LogChunk | None:
        """The next chunk of records, or None at the end; amendments are kept on the way."""
        while (found := self._next_raw()) is not None:
            header, payload = found
            if header.position != self._read:
                raise DataError(
                    f"{self._file}: a chunk of position {header.position} after {self._read}"
                )
            if header.kind == ChunkKind.AMEND:
                self.amendments.append(amendment.decode(payload))
                continue
            self._read += header.count
            return LogChunk(header, self._decode(header, payload))
        return None

    def _decode(self, header: ChunkHeader, payload: memoryview) -> Array:
        if header.record_bytes != self._stored.itemsize:
            raise DataError(f"{self._file}: records of another size than the manifest's spec")
        if header.kind == ChunkKind.ENCODED:
            records = codec.decode(payload, header.count, self.spec, self._stored)
        else:
            records = np.frombuffer(payload, self._stored)
        if self._old:
            records = modern(records, self.spec)
        records.flags.writeable = False
        return records

    def _next_raw(self) -> tuple[ChunkHeader, memoryview] | None:
        if self._handle >= 0 and (found := self._parse()) is not None:
            return found
        later = [f for f in list_segments(self.path) if first_position(f) >= self._read]
        if not later or later[0] == self._file:
            return None
        if self._handle >= 0 and (found := self._parse()) is not None:
            return found  # the writer finished this segment after the first look
        if self._handle >= 0 and self._offset != os.fstat(self._handle).st_size:
            raise DataError(f"{self._file} at byte {self._offset}: cut off, yet the log goes on")
        if first_position(later[0]) != self._read:
            raise DataError(
                f"{self.path}: {segment_name(self._read)} is missing, the next is there"
            )
        self._open(later[0])
        return self._parse()

    def _open(self, file: Path) -> None:
        self.close()
        self._file, self._offset = file, 0
        self._block, self._block_start = memoryview(b""), 0
        self._handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)

    def _parse(self) -> tuple[ChunkHeader, memoryview] | None:
        """The chunk at the offset, from the block read ahead where it is whole in there."""
        try:
            return self._parse_once()
        except DataError:
            # Bytes read ahead may be a torn tail that a new writer has since replaced: look again.
            self._block = memoryview(b"")
        try:
            return self._parse_once()
        except DataError as error:
            raise DataError(f"{self._file} at byte {self._offset}: {error}") from error

    def _parse_once(self) -> tuple[ChunkHeader, memoryview] | None:
        head = self._bytes(self._offset, HEADER_BYTES)
        if head is None:
            return None
        header = parse_header(head)
        payload = self._bytes(self._offset + HEADER_BYTES, header.payload_bytes)
        if payload is None:
            return None
        check_payload(header, payload)
        self._offset += HEADER_BYTES + header.payload_bytes
        return header, payload

    def _bytes(self, offset: int, size: int) -> memoryview | None:
        start = offset - self._block_start
        if start < 0 or start + size > len(self._block):
            there = os.fstat(self._handle).st_size - offset
            if size > there:  # before anything is allocated for what a header claims
                return None
            wanted = min(max(size, BLOCK_BYTES), there)
            self._block = memoryview(os.pread(self._handle, wanted, offset))
            self._block_start, start = offset, 0
            if size > len(self._block):
                return None
        return self._block[start : start + size]

    def _seek(self, position: int) -> None:
        """Walks headers to the chunk that holds `position`, keeping the amendments before it."""
        files = list_segments(self.path)
        target = max(bisect_right([first_position(file) for file in files], position) - 1, 0)
        for file in files[: target + 1]:
            self._open(file)
            for entry in walk(file):
                header = entry.header
                if header.position + header.count > position:
                    break
                self._offset, self._read = entry.offset, header.position
                if header.kind == ChunkKind.AMEND:
                    self._next_amendment()
                else:
                    self._offset, self._read = entry.end, header.position + header.count
            else:
                continue
            break
        self.position = self._read
        skip = position - self._read
        if skip and not sum(chunk.header.count for chunk in self.poll(skip)) == skip:
            raise DataError(f"{self.path}: starts at {position}, but the log ends at {self._read}")

    def _next_amendment(self) -> None:
        found = self._parse()
        if found is not None:
            self.amendments.append(amendment.decode(found[1]))


def read_amendments(path: Path | str) -> list[amendment.Amendment]:
    """Every amendment in the log, found by its headers alone; raises as LogReader does."""
    read_manifest(Path(path))
    found = []
    for file in list_segments(Path(path)):
        entries = [entry for entry in walk(file) if entry.header.kind == ChunkKind.AMEND]
        with file.open("rb") as handle:
            payloads = [read_payload(handle.fileno(), entry, file) for entry in entries]
        found += [amendment.decode(payload) for payload in payloads]
    return found


def _split(chunk: LogChunk, count: int) -> tuple[LogChunk, LogChunk | None]:
    """The first `count` records, and the rest if there is any."""
    header, records = chunk.header, chunk.records
    if header.count <= count:
        return chunk, None
    rest = replace(
        header,
        first_sequence=int(records["sequence"][count]),
        position=header.position + count,
        count=header.count - count,
    )
    return (
        LogChunk(replace(header, count=count), records[:count]),
        LogChunk(rest, records[count:]),
    )
