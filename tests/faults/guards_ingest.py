"""Guards of ingest: what is acknowledged, taken once, refused."""

from __future__ import annotations

import time
from typing import Any

from fault_guard import guard, replace


@guard
def acknowledge_after_append() -> None:
    """Out: acknowledged as soon as received, appended five times a second."""
    from robot_rl.ingest.log_committer import LifeBook, LogCommitter

    done: dict[int, float] = {}
    function: Any = LogCommitter._commit

    def early(self: LogCommitter, book: LifeBook) -> None:
        book.acknowledged = book.expected
        self._now.append(book)
        if time.monotonic() - done.setdefault(id(book), time.monotonic()) > 0.2:
            done[id(book)] = time.monotonic()
            function(self, book)

    replace("robot_rl.ingest.log_committer:LogCommitter._commit", early)


@guard
def acknowledge_after_sync() -> None:
    """Out: acknowledged once appended, whatever the disk has; a sync a minute."""
    from robot_rl.ingest.log_committer import LifeBook, LogCommitter

    function: Any = LogCommitter.__init__

    def begin(self: LogCommitter, log: Any, dtype: Any, sync_ms: float, kept: Any = None) -> None:
        function(self, log, dtype, 0.0, kept)

    def never(self: LogCommitter) -> list[LifeBook]:
        books, self._now = self._now, []
        return books

    replace("robot_rl.ingest.log_committer:LogCommitter.__init__", begin)
    replace("robot_rl.ingest.log_committer:LogCommitter.durable", never)


@guard
def deduplication() -> None:
    """Out: whatever arrives is appended, whether it is in the log already or not."""
    from robot_rl.ingest.log_committer import LifeBook, LogCommitter
    from robot_rl.wire.chunk import parse_header

    def take(self: LogCommitter, book: LifeBook, extra: bytes, body: Any) -> None:
        header = parse_header(extra)
        book.pending.append((header, bytes(body)))
        book.expected = header.first_sequence + header.count

    def commit(self: LogCommitter, book: LifeBook) -> None:
        pending, book.pending = book.pending, []
        for header, body in pending:
            self._log._state.sequences.pop((book.actor, book.epoch), None)  # type: ignore
            self._log.append(header, body)
            self._appends += 1
            book.next_sequence = header.first_sequence + header.count
        self._waiting.append((self._appends, book, book.next_sequence))
        assert self.syncer is not None
        self.syncer.mark(self._appends)

    replace("robot_rl.ingest.log_committer:LogCommitter.take", take)
    replace("robot_rl.ingest.log_committer:LogCommitter._commit", commit)

    def forget(_: Any, actor: str, epoch: int, *__: Any) -> Any:
        from robot_rl.ingest.log_committer import LifeBook

        return LifeBook(actor, epoch)

    replace("robot_rl.ingest.sessions:Sessions.restore", forget)
    function: Any = None

    def claim(self: Any, *words: Any) -> LifeBook | None:
        book: LifeBook | None = function(self, *words)
        if book is not None:
            book.acknowledged = book.next_sequence = 0
        return book

    function = replace("robot_rl.ingest.sessions:Sessions.claim", claim)


@guard
def sequence_gaps_are_refused() -> None:
    """Out: a chunk that does not follow is taken, and what lies between counts as received."""
    from robot_rl.ingest.log_committer import LifeBook, LogCommitter
    from robot_rl.wire.chunk import parse_header

    function: Any = LogCommitter.take

    def take(self: LogCommitter, book: LifeBook, extra: bytes, body: Any) -> None:
        header = parse_header(extra)
        if header.first_sequence > book.expected:
            self.commit(book)
            book.expected = book.next_sequence = header.first_sequence
        function(self, book, extra, body)

    replace("robot_rl.ingest.log_committer:LogCommitter.take", take)


@guard
def checksums_on_the_wire() -> None:
    """Out: a chunk's payload is taken without its CRC32C."""
    replace("robot_rl.ingest.log_committer:check_payload", lambda header, body: None)


@guard
def checksums_of_heads() -> None:
    """Out: a message is read without its CRC32C."""
    from robot_rl.wire import protocol

    function: Any = None

    def decode(head: bytes) -> Any:
        return function(protocol.sealed(head[: -protocol.SUM_BYTES]))

    function = replace("robot_rl.wire.protocol:decode", decode)


@guard
def quarantine() -> None:
    """Out: records with NaN or infinity go into the log."""
    replace("robot_rl.ingest.log_committer:poisoned", lambda records: "")


@guard
def one_process_an_id() -> None:
    """Out: whoever says an actor's name gets its session."""
    from robot_rl.ingest.log_committer import LifeBook
    from robot_rl.ingest.sessions import Session, Sessions

    def claim(self: Sessions, peer: bytes, hello: Any, now: float, *user: str) -> LifeBook:
        key = (hello.actor, hello.epoch)
        book = self.books.setdefault(key, LifeBook(*key))
        self.sessions[peer] = Session(book, hello.sender, now, *user)
        return book

    replace("robot_rl.ingest.sessions:Sessions.claim", claim)


@guard
def specification_is_compared() -> None:
    """Out: a handshake takes any specification and protocol version."""
    from robot_rl.specs import EnvSpec

    def check(hello: Any, spec: Any) -> Any:
        return spec or EnvSpec.from_json(hello.spec)

    replace("robot_rl.ingest.actor_endpoint:check_hello", check)


@guard
def garbage_is_counted() -> None:
    """Out: what cannot be decoded is an error of the loop, as in the peer's server thread."""

    def fatal(self: Any, what: str) -> None:
        raise RuntimeError(what)

    replace("robot_rl.ingest.warnings:Warnings.count_garbage", fatal)


@guard
def amendments_are_taken_once() -> None:
    """Out: an amendment that is sent again is appended again."""
    from robot_rl.ingest.amendments import Amendments

    function: Any = Amendments.take

    def take(self: Amendments, *words: Any, **options: Any) -> None:
        self.durable.clear()
        self._waiting.clear()
        function(self, *words, **options)

    replace("robot_rl.ingest.amendments:Amendments.take", take)


@guard
def credit_waits_for_its_weights() -> None:
    """Out: a grant is in force at once, whatever weights it names."""
    from robot_rl.ingest.learner_endpoint import LearnerEndpoint

    def take(self: LearnerEndpoint) -> None:
        if self._grant is not None:
            self.granted, self._grant = self._grant.total_steps, None

    replace("robot_rl.ingest.learner_endpoint:LearnerEndpoint._take_grant", take)


@guard
def evaluation_is_not_counted() -> None:
    """Out: steps of evaluation episodes count as environment steps, and use up credit."""
    from robot_rl.wire.record import Kind

    def all_steps(records: Any) -> Any:
        return records["kind"] == Kind.STEP

    replace("robot_rl.ingest.log_committer:training_steps", all_steps)


@guard
def pause_is_kept() -> None:
    """Out: an ingest that has just begun knows of no command."""
    from robot_rl.ingest.controls import Controls

    replace("robot_rl.ingest.kept_pause:KeptPause.controls", lambda self: Controls())
