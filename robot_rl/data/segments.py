"""Segment files of a log: names, and the walk over their chunks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robot_rl.errors import DataError
from robot_rl.wire.chunk import HEADER_BYTES, MAGIC, ChunkHeader, check_payload, parse_header

SUFFIX = ".segment"
SEARCH_PASSES = 16
"""How often, on average, a byte behind damage is read to tell a torn tail from a corrupt middle."""


def segment_name(position: int) -> str:
    """File name of the segment whose first record has this log position."""
    return f"{position:016d}{SUFFIX}"


def first_position(file: Path) -> int:
    """The log position in a segment's name; raises DataError where it is none."""
    try:
        return int(file.name.removesuffix(SUFFIX))
    except ValueError as error:
        raise DataError(f"{file}: not a segment name such as {segment_name(0)}") from error


def list_segments(path: Path) -> list[Path]:
    """The log's segment files in order of their first position."""
    return sorted(path.glob(f"*{SUFFIX}"), key=first_position)


@dataclass(frozen=True, slots=True)
class Entry:
    """One chunk in a segment file."""

    header: ChunkHeader
    offset: int
    """Of its header in the file."""

    @property
    def end(self) -> int:
        return self.offset + HEADER_BYTES + self.header.payload_bytes


def read_entry(handle: int, offset: int, size: int, file: Path) -> Entry | None:
    """The chunk at `offset`, or None where the file ends before the chunk does.

    Checks the header only; raises DataError naming file and offset.
    """
    if offset + HEADER_BYTES > size:
        return None
    try:
        header = parse_header(os.pread(handle, HEADER_BYTES, offset))
    except DataError as error:
        raise DataError(f"{file} at byte {offset}: {error}") from error
    entry = Entry(header, offset)
    return entry if entry.end <= size else None


def read_payload(handle: int, entry: Entry, file: Path) -> bytes:
    """The payload of a chunk, checked; raises DataError naming file and offset."""
    start = entry.offset + HEADER_BYTES
    payload = os.pread(handle, entry.header.payload_bytes, start)
    try:
        check_payload(entry.header, payload)
    except DataError as error:
        raise DataError(f"{file} at byte {entry.offset}: {error}") from error
    return payload


def walk(file: Path, start: int = 0) -> Iterator[Entry]:
    """Every whole chunk's header from byte `start` on; payloads unchecked."""
    handle = os.open(file, os.O_RDONLY)
    try:
        size = os.fstat(handle).st_size
        while (entry := read_entry(handle, start, size, file)) is not None:
            yield entry
            start = entry.end
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Tail:
    """How a segment ends."""

    entries: tuple[Entry, ...]
    """Chunks that are whole and whose checksums agree."""
    good_bytes: int
    size: int
    problem: str
    """What is wrong behind `good_bytes`; empty where nothing is."""


def check_segment(file: Path) -> Tail:
    """Reads a whole segment with all checksums up to the first damage.

    Raises DataError where a good chunk follows the damage: that is no torn tail but a corrupt
    middle, and cutting it off would lose good data.
    """
    entries: list[Entry] = []
    offset, problem = 0, ""
    handle = os.open(file, os.O_RDONLY)
    try:
        size = os.fstat(handle).st_size
        while offset < size:
            try:
                entry = read_entry(handle, offset, size, file)
                if entry is None:
                    problem = f"{file} at byte {offset}: the chunk is cut off"
                    break
                read_payload(handle, entry, file)
            except DataError as error:
                problem = str(error)
                break
            entries.append(entry)
            offset = entry.end
        if problem and (later := _good_chunk_after(handle, offset + 1, size, file)) is not None:
            raise DataError(f"{problem}; a good chunk follows at byte {later}: corrupt, not torn")
    finally:
        os.close(handle)
    return Tail(tuple(entries), offset, size, problem)


def _good_chunk_after(handle: int, offset: int, size: int, file: Path) -> int | None:
    """Raises DataError where that would take for ever: made up of chunks within chunks."""
    data = os.pread(handle, size - offset, offset)
    place = data.find(MAGIC)
    left = SEARCH_PASSES * size
    while place >= 0:
        try:
            entry = read_entry(handle, offset + place, size, file)
            if entry is not None:
                left -= entry.header.payload_bytes
                if left < 0:
                    break
                read_payload(handle, entry, file)
                return entry.offset
        except DataError:
            pass  # the four letters happened to be in the damage; look on
        place = data.find(MAGIC, place + 1)
    if left < 0:
        raise DataError(f"{file} behind byte {offset}: damaged beyond what can be told apart")
    return None
