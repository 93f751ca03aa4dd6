"""Amendments on their way from a control loop to ingest: few, small, kept until they are answered.

The control loop leaves each as a file in the runtime directory (shared memory); the I/O process
moves it into the spool's directory, where it survives a crash, and sends it until ingest answers.
`after` is the number of records of its life that must be in the log first; ingest waits for them.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from robot_rl.errors import RobotRLError, WireError
from robot_rl.wire.amendment import Amendment, decode, encode
from robot_rl.wire.protocol import sealed, unsealed

SUFFIX = ".amend"
SCAN_S = 0.05
RESEND_S = 0.5
MAX_ENTRIES = 1024
"""Unanswered ones of an actor; the control loop refuses to leave more."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One amendment."""

    after: int
    payload: bytes
    """As `amendment.encode` gives it."""


def leave(directory: Path, actor: str, amendment: Amendment, after: int) -> None:
    """Puts an amendment with a token where the I/O process finds it; some 50 µs.

    Raises DataError or PoisonedDataError on one that says nothing, WireError where too many wait.
    """
    payload = encode(amendment)
    if len(list(directory.glob(f"{actor}.*{SUFFIX}"))) >= MAX_ENTRIES:
        raise WireError(f"{MAX_ENTRIES} amendments of '{actor}' wait: the I/O process does not run")
    data = sealed(msgspec.msgpack.encode(Entry(after, payload)))
    path = directory / f"{actor}.{amendment.token:016x}{SUFFIX}"
    draft = path.with_suffix(".draft")
    draft.write_bytes(data)
    draft.rename(path)


@dataclass(slots=True)
class Outbox:
    """The I/O process's side.

    outbox.collect(now)
    for entry in outbox.due(now): send(entry)
    outbox.answered(token, refusal)
    """

    directory: Path
    """Of the spool."""
    runtime_dir: Path
    actor: str
    entries: dict[int, Entry] = field(default_factory=dict)
    """By token, what is not yet answered."""
    _scanned: float = 0.0
    _sent: float = 0.0

    def __post_init__(self) -> None:
        """Finds what an earlier process has kept."""
        for path in sorted(self.directory.glob(f"*{SUFFIX}")):
            self._read(path)

    def collect(self, now: float) -> None:
        """Moves what the control loop has left to the disk; OSError leaves it where it is."""
        if now - self._scanned < SCAN_S:
            return
        self._scanned = now
        for path in sorted(self.runtime_dir.glob(f"{self.actor}.*{SUFFIX}")):
            if (found := self._read(path)) is not None:
                self._keep(found, path.read_bytes())
                path.unlink()
                self._sent = 0.0

    def due(self, now: float) -> list[Entry]:
        """What shall be sent (again) now."""
        if not self.entries or now - self._sent < RESEND_S:
            return []
        self._sent = now
        return list(self.entries.values())

    def answered(self, token: int, refusal: str) -> None:
        """Ingest has it in its log, or says why it never will."""
        if self.entries.pop(token, None) is not None:
            self._path(token).unlink(missing_ok=True)
            if refusal:
                print(f"WARN not amended: {refusal}", file=sys.stderr, flush=True)

    def _path(self, token: int) -> Path:
        return self.directory / f"{token:016x}{SUFFIX}"

    def _read(self, path: Path) -> int | None:
        """Takes a file's entry and gives its token; a damaged file is set aside and said."""
        try:
            entry = msgspec.msgpack.decode(unsealed(path.read_bytes()), type=Entry)
            token = decode(entry.payload).token
        except (RobotRLError, msgspec.MsgspecError) as error:
            aside = path.with_suffix(".damaged")
            path.rename(aside)
            print(f"WARN amendment kept as {aside}: {error}", file=sys.stderr, flush=True)
            return None
        self.entries[token] = entry
        return token

    def _keep(self, token: int, data: bytes) -> None:
        path = self._path(token)
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
