"""Records that may not be learnt from, kept beside the log in which they are missing.

`quarantine.chunks` in the log's folder: chunks of one record, as in a segment. They say, after a
restart, that a hole in the log is no loss; and a person can look at what an actor sent.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from robot_rl.data.segments import check_segment, walk
from robot_rl.errors import DataError
from robot_rl.types import Purpose
from robot_rl.wire.chunk import HEADER_BYTES, ChunkHeader, pack_header
from robot_rl.wire.record import HEAD_DTYPE

FILE = "quarantine.chunks"
MAX_BYTES = 64 << 20
"""A broken sensor must not fill the disk: beyond this, records are counted and not kept."""


def is_evaluation(record: bytes | memoryview) -> bool:
    """Whether a record, poisoned as it may be, says that it belongs to an evaluation episode."""
    head = bytes(record[: HEAD_DTYPE.itemsize]).ljust(HEAD_DTYPE.itemsize, b"\0")
    return bool(np.frombuffer(head, HEAD_DTYPE)["purpose"][0] == Purpose.EVALUATION)


class Quarantine:
    """Appends; knows which sequences of a life are here.

    quarantine = Quarantine(log_dir)
    quarantine.add(header, record)
    quarantine.sync()
    quarantine.following(actor, epoch, last_logged + 1)     # after a restart
    """

    def __init__(self, log_dir: Path) -> None:
        """A torn end is cut off; a file that is damaged otherwise is renamed, see `problem`."""
        self.path = log_dir / FILE
        self.problem = ""
        self.sequences: dict[tuple[str, int], set[int]] = {}
        self.uncounted = Counter[tuple[str, int]]()
        """Records of evaluation episodes, by life: no environment step was granted for them."""
        self.size = 0
        self._handle = -1
        if self.path.exists():
            self._recover()

    def _recover(self) -> None:
        try:
            tail = check_segment(self.path)
        except DataError as error:
            aside = self.path.with_suffix(f".damaged-{os.stat(self.path).st_mtime_ns}")
            self.path.rename(aside)
            self.problem = f"{error}; kept as {aside}"
            return
        if tail.problem:
            os.truncate(self.path, tail.good_bytes)
        self.size = tail.good_bytes
        with self.path.open("rb") as file:
            for entry in tail.entries:
                at = entry.offset + HEADER_BYTES
                self._note(entry.header, os.pread(file.fileno(), HEAD_DTYPE.itemsize, at))

    def _note(self, header: ChunkHeader, record: bytes) -> None:
        key = header.actor, header.epoch
        self.sequences.setdefault(key, set()).add(header.first_sequence)
        self.uncounted[key] += is_evaluation(record)

    @staticmethod
    def count_in(log_dir: Path) -> int:
        """Records kept aside of a log, also while another process writes it; reads headers only."""
        path = log_dir / FILE
        return sum(1 for _ in walk(path)) if path.exists() else 0

    @property
    def count(self) -> int:
        """Records here, of all lives."""
        return sum(len(life) for life in self.sequences.values())

    def add(self, header: ChunkHeader, record: bytes | memoryview) -> bool:
        """Keeps one record; False where there is no room for it. Raises DataError if the disk does
        not take it."""
        data = pack_header(header) + bytes(record)
        if self.size + len(data) > MAX_BYTES:
            return False
        try:
            if self._handle < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._handle = os.open(self.path, flags, 0o600)
            if os.pwrite(self._handle, data, self.size) != len(data):
                raise DataError(f"{self.path}: the disk is full")
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        self.size += len(data)
        self._note(header, bytes(record))
        return True

    def following(self, actor: str, epoch: int, sequence: int) -> int:
        """The first sequence from `sequence` on that is not here."""
        life = self.sequences.get((actor, epoch), set())
        while sequence in life:
            sequence += 1
        return sequence

    def sync(self) -> None:
        """What was added is on disk when it returns."""
        if self._handle >= 0:
            os.fdatasync(self._handle)

    def close(self) -> None:
        """Syncs and closes; twice is fine."""
        if self._handle >= 0:
            self.sync()
            os.close(self._handle)
            self._handle = -1
