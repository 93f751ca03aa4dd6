"""From chunks to the log: what each life of an actor has in it, what is new, what is poisoned."""

from __future__ import annotations

import errno
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from robot_rl.data.quarantine import Quarantine, is_evaluation
from robot_rl.errors import DataError
from robot_rl.ingest.credits import Account
from robot_rl.types import Array
from robot_rl.wire.amendment import Amendment
from robot_rl.wire.chunk import ChunkHeader, ChunkKind, check_payload, make_header, parse_header
from robot_rl.wire.record import poisoned, training_steps
from robot_rl.wire.sync import Syncer

JOIN_BYTES = 1 << 20
"""Small chunks of one life are appended as one, up to this size."""
LARGE_BYTES = 64 << 10
"""A chunk of this size is appended as it came, uncopied."""


class Log(Protocol):
    """What committer needs of the episode log's writer."""

    def append(
        self, header: ChunkHeader, payload: bytes | memoryview, *, checked: bool
    ) -> object: ...

    def amend(self, amendment: Amendment) -> object: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class LifeBook:
    """One (actor, epoch)."""

    actor: str
    epoch: int
    next_sequence: int = 0
    """Everything below has been received in order and appended (or quarantined)."""
    acknowledged: int = 0
    """Everything below is as durable as `sync_ms` says."""
    records: int = 0
    quarantined: int = 0
    account: Account = field(default_factory=Account)
    pending: list[tuple[ChunkHeader, bytes | memoryview]] = field(default_factory=list)
    episodes: int = 0
    """Its episodes in the log have numbers below this."""
    expected: int = 0
    """Next sequence to arrive: `next_sequence` plus what is pending."""


class Gap(DataError):
    """A chunk that is not the next one of its life."""


class LogCommitter:
    """Takes chunks, commits them in groups, says what may be acknowledged.

    committer.take(book, extra, body)      # one message
    committer.commit(book)                 # all that came meanwhile, in one append
    for book in committer.durable(): acknowledge(book)
    """

    def __init__(
        self, log: Log, dtype: np.dtype, sync_ms: float, quarantine: Quarantine | None = None
    ) -> None:
        """quarantine: where poisoned records are kept; without one they are only counted."""
        self._log, self.dtype, self._kept = log, dtype, quarantine
        self.records = 0
        """In the log, by this process."""
        self.steps = 0
        """STEPs of training episodes among them."""
        self.quarantined = 0
        self._appends = 0
        self._waiting: deque[tuple[int, LifeBook, int]] = deque()
        self._now: list[LifeBook] = []
        self._amending: deque[tuple[int, int]] = deque()
        self._amended: list[int] = []
        self.syncer = Syncer(self._sync, sync_ms / 1000) if sync_ms > 0 else None

    @property
    def queue(self) -> int:
        """Appends that are not yet durable."""
        return len(self._waiting)

    def take(self, book: LifeBook, extra: bytes, body: bytes | memoryview) -> None:
        """Checks one chunk and queues what is new of it; Gap or DataError if it cannot be taken."""
        header = parse_header(extra)
        if header.actor != book.actor or header.epoch != book.epoch:
            raise Gap(f"a chunk of '{header.actor}', epoch {header.epoch}, without a handshake")
        if header.kind != ChunkKind.RECORDS or header.record_bytes != self.dtype.itemsize:
            raise DataError(
                f"a chunk of kind {header.kind.name} with records of {header.record_bytes} bytes; "
                f"valid: RECORDS of {self.dtype.itemsize}"
            )
        check_payload(header, body)
        if header.first_sequence > book.expected:
            raise Gap(f"sequence {header.first_sequence}; expected {book.expected}")
        end = header.first_sequence + header.count
        if end <= book.expected:
            return  # sent twice
        book.pending.append((header, body))
        book.expected = end

    def commit(self, book: LifeBook) -> None:
        """Appends everything pending of a life, without what it has already and what is poisoned.

        Raises DataError when the disk does not take it; then what is not appended is forgotten here
        and stays in the sender's spool.
        """
        try:
            self._commit(book)
        except DataError:
            book.expected = book.next_sequence
            raise

    def _commit(self, book: LifeBook) -> None:
        pending, book.pending = book.pending, []
        group: list[memoryview] = []
        size = 0
        for header, body in pending:
            here = book.next_sequence + size // self.dtype.itemsize
            skip = max(0, here - header.first_sequence)
            if not skip and (header.payload_bytes >= LARGE_BYTES or len(pending) == 1):
                self._append_joined(book, group)
                group, size = [], 0
                self._append(book, header, body)
                continue
            part = memoryview(body)[skip * self.dtype.itemsize :]
            if size + part.nbytes > JOIN_BYTES:
                self._append_joined(book, group)
                group, size = [], 0
            group.append(part)
            size += part.nbytes
        self._append_joined(book, group)
        if self.syncer is None:
            book.acknowledged = book.next_sequence
            self._now.append(book)
        else:
            self._waiting.append((self._appends, book, book.next_sequence))
            self.syncer.mark(self._appends)

    def amend(self, amendment: Amendment) -> None:
        """Appends an amendment; DataError when the disk does not take it."""
        self._log.amend(amendment)
        self._appends += 1
        if self.syncer is None:
            self._amended.append(amendment.token)
        else:
            self._amending.append((self._appends, amendment.token))
            self.syncer.mark(self._appends)

    def amended(self) -> list[int]:
        """Tokens of the amendments that `durable` has found durable, once each."""
        tokens, self._amended = self._amended, []
        return tokens

    def durable(self) -> list[LifeBook]:
        """The lives with something new to acknowledge; looks after amendments too."""
        books, self._now = self._now, []
        if self.syncer is None:
            return books
        self.syncer.clear()
        if self.syncer.error is not None:
            raise DataError(f"the log cannot be synced: {self.syncer.error}")
        done = self.syncer.durable
        while self._amending and self._amending[0][0] <= done:
            self._amended.append(self._amending.popleft()[1])
        while self._waiting and self._waiting[0][0] <= done:
            _, book, sequence = self._waiting.popleft()
            book.acknowledged = sequence
            if book not in books:
                books.append(book)
        return books

    def close(self) -> None:
        """Syncs what was appended and closes the log."""
        if self.syncer is not None:
            self.syncer.close()
        try:
            if self._kept is not None:
                self._kept.close()
            self._log.close()
        except OSError as error:
            raise DataError(f"the log cannot be synced: {error}") from error

    def _sync(self) -> None:
        """Runs in the syncer's thread; the loop may change to a new segment meanwhile."""
        if self._kept is not None:
            self._kept.sync()
        try:
            self._log.sync()
        except OSError as error:
            if error.errno != errno.EBADF:
                raise  # EBADF: the writer synced and closed that segment itself

    def _append_joined(self, book: LifeBook, group: list[memoryview]) -> None:
        """Appends what came in several chunks as one."""
        if group:
            payload = b"".join(group)
            self._append(book, self._header(book, payload), payload)

    def _append(self, book: LifeBook, header: ChunkHeader, payload: bytes | memoryview) -> None:
        """Appends a chunk that follows on the last one, without its poisoned records.

        Its bytes were checked when they came (`take`), its values are here: the log checks neither
        again.
        """
        records = np.frombuffer(payload, self.dtype)
        places = np.arange(book.next_sequence, book.next_sequence + len(records), dtype=np.uint64)
        wrong = records["sequence"] != places
        if not wrong.any() and not poisoned(records):
            self._log.append(header, payload, checked=True)
            self._count(book, records)
            return
        bad = wrong | np.array([bool(poisoned(records[n : n + 1])) for n in range(len(records))])
        start = 0
        for row in [*np.flatnonzero(bad).tolist(), len(records)]:
            if row > start:
                part = records[start:row].tobytes()
                self._log.append(self._header(book, part), part, checked=True)
                self._count(book, records[start:row])
            if row < len(records):
                self._quarantine(book, records[row : row + 1])
            start = row + 1

    def _header(self, book: LifeBook, payload: bytes) -> ChunkHeader:
        return make_header(
            ChunkKind.RECORDS,
            payload,
            actor=book.actor,
            epoch=book.epoch,
            first_sequence=book.next_sequence,
            count=len(payload) // self.dtype.itemsize,
            record_bytes=self.dtype.itemsize,
        )

    def _count(self, book: LifeBook, records: Array) -> None:
        steps = int(np.count_nonzero(training_steps(records)))
        self._appends += 1
        self.records += len(records)
        self.steps += steps
        book.records += len(records)
        book.episodes = max(book.episodes, 1 + int(records["episode"][-1]))
        book.account.steps += steps
        book.next_sequence += len(records)

    def _quarantine(self, book: LifeBook, record: Array) -> None:
        why = poisoned(record) or f"it says sequence {int(record['sequence'][0])}"
        payload, where = record.tobytes(), "it is not in the log"
        if self._kept is not None and self._kept.add(self._header(book, payload), payload):
            where = f"it is in {self._kept.path}, not in the log"
        print(
            f"WARN quarantined record {book.next_sequence} of actor '{book.actor}': {why}; {where}",
            file=sys.stderr,
            flush=True,
        )
        self._appends += 1
        book.quarantined += 1
        if not is_evaluation(payload):
            book.account.steps += 1  # the actor took it; another one may be granted in its place
        self.quarantined += 1
        book.next_sequence += 1
