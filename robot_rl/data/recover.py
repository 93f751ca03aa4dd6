"""What a writer does before it goes on with a log: count what is there, move a torn tail aside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from robot_rl.data.segments import check_segment, walk
from robot_rl.errors import DataError
from robot_rl.wire.chunk import ChunkKind


@dataclass(slots=True)
class LogState:
    """What a walk over the log's chunks finds out."""

    position: int
    """Records in the log."""
    sequences: dict[tuple[str, int], int]
    """Last sequence of every (actor, epoch): de-duplication commits with the data."""


def recover(segments: list[Path]) -> tuple[LogState, str]:
    """Walks the log's headers, checks the last segment whole, and moves a torn tail aside.

    Gives what was found and, where there was a torn tail, what was wrong and where it lies now.
    Raises DataError on a corrupt middle; then nothing was changed.
    """
    state = LogState(0, {})
    for number, file in enumerate(segments):
        last = number == len(segments) - 1
        tail = check_segment(file) if last else None
        end = 0
        for entry in tail.entries if tail else walk(file):
            header, end = entry.header, entry.end
            if header.position != state.position:
                raise DataError(
                    f"{file} at byte {entry.offset}: position {header.position}; "
                    f"{state.position} records come before it"
                )
            if header.kind != ChunkKind.AMEND:
                key = header.actor, header.epoch
                state.sequences[key] = header.first_sequence + header.count - 1
                state.position += header.count
        if tail is None and end != file.stat().st_size:
            raise DataError(f"{file} at byte {end}: the chunk is cut off, yet the log goes on")
        if tail and tail.problem:
            return state, _move_aside(file, tail.good_bytes, tail.problem)
    return state, ""


def _move_aside(file: Path, good_bytes: int, problem: str) -> str:
    """Copies what lies behind the last good chunk into a new file, then cuts it off."""
    number = 0
    while (aside := file.with_name(f"{file.name}.{good_bytes}-{number}.torn")).exists():
        number += 1
    with file.open("r+b") as source:
        source.seek(good_bytes)
        with aside.open("xb") as target:
            target.write(source.read())
            target.flush()
            os.fsync(target.fileno())
        source.truncate(good_bytes)
        source.flush()
        os.fsync(source.fileno())
    return f"{problem}; the bytes behind it lie in {aside}"
