"""The independent recorder: what was written, committed and acknowledged, noted beside the wire.

Each process notes in a plain file of its own with one unbuffered `write` a note, which a SIGKILL
cannot take back. The judge reads the episode log with the byte tables of docs/data.md and nothing
of the product, and compares by zlib's CRC-32, another polynomial than the product's.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

_NOTE = struct.Struct("<QQQIQ")
_CHUNK = struct.Struct("<4sHH32sQQQIIII8sI")  # docs/data.md, Chunk
_SEQUENCE_AT = 8  # docs/data.md, Record
RECORDS = 0


class What(IntEnum):
    """What a note says of (epoch, sequence)."""

    INTENT = 0
    """About to be written into the ring."""
    WRITTEN = 1
    """The ring has taken it."""
    COMMITTED = 2
    """The I/O process says that everything below is in its spool."""
    ACKNOWLEDGED = 3
    """The I/O process was told that everything below is in the log."""
    POISON = 5
    """Not to be learned from: must not be in the log."""
    SYNCED = 4
    """A file is on disk up to byte `sequence`; `epoch` is the number of the file."""


class Note(NamedTuple):
    what: What
    epoch: int
    sequence: int
    crc: int
    at_ns: int
    """CLOCK_MONOTONIC, the same for all processes of a host."""


class Notebook:
    """Appends notes to a file."""

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, what: What, epoch: int, sequence: int, crc: int = 0) -> None:
        os.write(self._file, _NOTE.pack(what, epoch, sequence, crc, time.monotonic_ns()))


def notes(path: Path) -> list[Note]:
    """Every whole note of a file, oldest first; none where there is no file."""
    data = path.read_bytes() if path.exists() else b""
    whole = len(data) // _NOTE.size * _NOTE.size
    return [Note(What(f[0]), *f[1:]) for f in _NOTE.iter_unpack(data[:whole])]


class Broken(AssertionError):
    """An invariant does not hold."""


class Logged(NamedTuple):
    actor: str
    epoch: int
    sequence: int
    crc: int


def read_log(folder: Path) -> Iterator[Logged]:
    """Every record of a log without image codec; stops before an unfinished last chunk."""
    for file in sorted(folder.glob("*.segment")):
        data = file.read_bytes()
        at = 0
        while at + _CHUNK.size <= len(data):
            head = _CHUNK.unpack_from(data, at)
            count, size, length = head[7], head[8], head[9]
            at += _CHUNK.size
            if head[0] != b"RRLC":
                raise Broken(f"{file.name}: no chunk at byte {at - _CHUNK.size}")
            if at + length > len(data):
                return
            if head[2] == RECORDS and length != count * size:
                raise Broken(f"{file.name}: {length} bytes are not {count} records of {size}")
            if head[2] == RECORDS:
                actor = head[3].rstrip(b"\0").decode()
                for row in range(count):
                    record = data[at + row * size : at + (row + 1) * size]
                    sequence = struct.unpack_from("<Q", record, _SEQUENCE_AT)[0]
                    yield Logged(actor, head[4], sequence, zlib.crc32(record))
            at += length


@dataclass(slots=True)
class Verdict:
    """What the judge found; `require` raises on what must not be."""

    written: int = 0
    committed: int = 0
    acknowledged: int = 0
    logged: int = 0
    lost: list[str] = field(default_factory=list)
    lost_acknowledged: list[str] = field(default_factory=list)
    lost_committed: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """In the log, but never written so."""
    disordered: list[str] = field(default_factory=list)

    def require(self, *, all_written: bool = True) -> Verdict:
        """Invariant I1; `all_written`: what reached the ring counts, not only what is acknowledged
        (a host that died loses its ring)."""
        found = {
            "acknowledged records are not in the log": self.lost_acknowledged,
            "records are in the log more than once": self.doubled,
            "records in the log were never written so": self.strange,
            "records are out of order": self.disordered,
        }
        if all_written:
            found["written records are not in the log"] = self.lost
            found["committed records are not in the log"] = self.lost_committed
        wrong = [f"{len(v)} {what}: {', '.join(v[:3])}" for what, v in found.items() if v]
        if wrong:
            raise Broken("; ".join(wrong))
        return self


def judge(
    log: Path, actor: str, books: list[Path], *, but: frozenset[int] = frozenset()
) -> Verdict:
    """Compares the log with the notes about one actor; poison must not be in it."""
    intents: dict[tuple[int, int], int] = {}
    written: set[tuple[int, int]] = set()
    poison: set[tuple[int, int]] = set()
    below: dict[What, dict[int, int]] = {What.COMMITTED: {}, What.ACKNOWLEDGED: {}}
    for book in books:
        for what, epoch, sequence, crc, _ in notes(book):
            if what is What.INTENT:
                intents[epoch, sequence] = crc
            elif what is What.WRITTEN:
                written.add((epoch, sequence))
            elif what is What.POISON:
                poison.add((epoch, sequence))
            elif what in below:
                below[what][epoch] = max(sequence, below[what].get(epoch, 0))
    verdict = Verdict(written=len(written))
    seen: dict[tuple[int, int], int] = {}
    newest: dict[int, int] = {}
    for row in read_log(log):
        if row.actor != actor:
            continue
        key = (row.epoch, row.sequence)
        name = f"epoch {row.epoch} sequence {row.sequence}"
        if key in seen:
            verdict.doubled.append(name)
        elif row.sequence < newest.get(row.epoch, -1):
            verdict.disordered.append(name)
        seen[key] = row.crc
        newest[row.epoch] = max(row.sequence, newest.get(row.epoch, -1))
        if intents.get(key) != row.crc or key in poison:
            verdict.strange.append(name)
    verdict.logged = len(seen)
    for key in sorted(intents):
        epoch, sequence = key
        if key in poison:
            continue
        name = f"epoch {epoch} sequence {sequence}"
        acknowledged = sequence < below[What.ACKNOWLEDGED].get(epoch, 0)
        committed = sequence < below[What.COMMITTED].get(epoch, 0)
        verdict.acknowledged += acknowledged
        verdict.committed += committed
        if key in seen:
            continue
        if key in written:
            verdict.lost.append(name)
        if acknowledged:
            verdict.lost_acknowledged.append(name)
        if committed:
            verdict.lost_committed.append(name)
    return verdict
