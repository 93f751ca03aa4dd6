"""The actors' address of ingest: who may come in, what they send, and what they are sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.data.log_reader import read_amendments
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.quarantine import Quarantine
from robot_rl.errors import DataError, PoisonedDataError, RobotRLError, WireError
from robot_rl.ingest.amendments import Amendments
from robot_rl.ingest.kept_pause import KeptPause
from robot_rl.ingest.learner_endpoint import LearnerEndpoint
from robot_rl.ingest.log_committer import Gap, LifeBook, LogCommitter
from robot_rl.ingest.log_counts import Count, count_log
from robot_rl.ingest.owners import Owners
from robot_rl.ingest.permissions import permits, refusal_of
from robot_rl.ingest.sessions import Session, Sessions
from robot_rl.ingest.warnings import Warnings
from robot_rl.specs import EnvSpec
from robot_rl.wire import protocol as p
from robot_rl.wire.handshake import check_hello
from robot_rl.wire.process import IngestConfig
from robot_rl.wire.record import record_dtype
from robot_rl.wire.sockets import Received, Router


@dataclass(slots=True)
class ActorEndpoint:
    """Sessions with actors' I/O processes; consoles come to the same address."""

    config: IngestConfig
    router: Router
    learner_endpoint: LearnerEndpoint
    warnings: Warnings
    sessions: Sessions = field(default_factory=Sessions)
    spec: EnvSpec | None = None
    committer: LogCommitter | None = None
    """None until there is a log: one that exists, or a specification to make one for."""
    amendments: Amendments | None = None
    owners: Owners | None = None
    """Who may use which id; there as soon as there is a log."""
    touched: dict[int, LifeBook] = field(default_factory=dict)
    """Lives that sent records since the last `commit`."""
    shared: bool = False
    """Whether somebody's credits changed."""
    _plants: dict[str, list[str]] = field(default_factory=dict)
    """What was said of each actor's robot last."""

    def serve(self, log: LogWriter) -> None:
        """The log is there: counts what it has, and takes records from now on."""
        self.spec = log.spec
        self.owners = Owners(log.path)
        self.learner_endpoint.remember(KeptPause(log.path))
        kept = Quarantine(log.path)
        self.warnings.warn(kept.problem)
        self.committer = LogCommitter(log, record_dtype(log.spec), self.config.sync_ms, kept)
        self.committer.quarantined = kept.count
        counts = count_log(log.path)
        for actor, epoch in {**counts, **kept.sequences}:
            life, count = (actor, epoch), counts.get((actor, epoch), Count())
            following = kept.following(actor, epoch, log.last_sequence(actor, epoch) + 1)
            book = self.sessions.restore(*life, following, count, kept.uncounted[life])
            book.quarantined = len(kept.sequences.get(life, ()))
            self.committer.records += count.records
            self.committer.steps += count.steps
        logged = (amendment.token for amendment in read_amendments(log.path))
        self.amendments = Amendments.of(self.committer, self.sessions.books, logged)

    def take(self, message: Received) -> None:
        """Handles one message; nothing that a peer sends ends ingest."""
        session = self.sessions.sessions.get(message.peer)
        if session is not None and session.user != message.user:
            session = None  # a routing id that its owner has left, taken by another key
        if message.head == p.DATA_HEAD and session is not None:
            self._data(message, session)
            return
        try:
            parsed = p.decode(message.head)
        except WireError as error:
            self.warnings.count_garbage(f"from an actor's side: {error}")
            return
        if reason := refusal_of(self.router, message.user, parsed):
            self.warnings.count_refused(reason)
            self.refuse(message.peer, reason, retry=False)
        elif isinstance(parsed, p.Hello):
            self._hello(message, parsed)
        elif isinstance(parsed, p.SetControl):
            self._set_control(message.peer, parsed)
        elif isinstance(parsed, p.Amend):
            self._amend(message, session, parsed.after)
        elif isinstance(parsed, p.Ask):
            self.router.send(message.peer, self.learner_endpoint.answer_to(parsed))
        elif session is None:
            self.refuse(message.peer, "say hello first")
        elif isinstance(parsed, p.Beat):
            self._beat(message.peer, session, parsed)
        elif isinstance(parsed, p.Get):
            self.send_part(message.peer, session, parsed)
        else:
            self.warnings.count_garbage(f"a {type(parsed).__name__} from an actor's side")

    def admit(self) -> None:
        """Who may connect; sessions of keys that are revoked meanwhile end."""
        self.router.tend()
        for line in self.router.warnings():
            self.warnings.say(line)
        allow = self.router.allow
        if not self.router.allow_changed or allow is None:
            return
        self.router.allow_changed = False
        for peer, session in list(self.sessions.sessions.items()):
            if reason := allow.refusal(session.user):
                del self.sessions.sessions[peer]
                self.refuse(peer, reason, retry=False)
                self.warnings.say(f"session of actor '{session.book.actor}' ended: {reason}")

    def commit(self) -> None:
        """Appends what came to the log, then shares out credits."""
        if self.committer is None:
            return
        for book in self.touched.values():
            self._commit(self.committer, book)
        self.touched.clear()
        self.share()

    def share(self) -> None:
        """Shares the learner's grant out among those who are there."""
        steps = self.committer.steps if self.committer else 0
        changed = self.sessions.share(self.learner_endpoint.granted, steps, time.monotonic())
        self.shared = changed or self.shared

    def announce(self) -> None:
        """Every actor the news, and the weights that it waits for."""
        for peer, session in self.sessions.sessions.items():
            self.send_part(peer, session, None)
            self.router.send(peer, p.encode(self.news_for(session.book)))

    def news_for(self, book: LifeBook) -> p.News:
        """What the actor of this life should know."""
        return p.News(
            book.actor,
            book.epoch,
            book.acknowledged,
            self.learner_endpoint.store.version,
            self.learner_endpoint.store.size,
            book.account.allowed,
            self.learner_endpoint.controls.of(book.actor),
            self.learner_endpoint.learner_age_ms(),
            self.learner_endpoint.credit_version,
        )

    def send_part(self, peer: bytes, session: Session, get: p.Get | None) -> None:
        """What was asked for now (`get`), or what a waiting request waits for."""
        store = self.learner_endpoint.store
        found = store.answer(session, get) if get else store.wanted(session)
        if found is not None:
            self.router.send(peer, p.encode(found[0]), b"", found[1])

    def refuse(self, peer: bytes, reason: str, *, retry: bool = True) -> None:
        """Says why not."""
        self.router.send(peer, p.encode(p.Refusal(reason, retry)))

    def amend(
        self,
        body: bytes | memoryview,
        answer: Callable[[p.Amended], object],
        *,
        only: str = "",
        after: int = 0,
    ) -> None:
        """Takes an amendment, behind everything that came before it; DataError on none, or where
        the disk does not take it."""
        self.commit()
        if self.amendments is None:
            raise DataError("there is no log to amend yet")
        self.amendments.take(body, answer, only=only, after=after)

    def _amend(self, message: Received, session: Session | None, after: int) -> None:
        """From an actor, in a session, for its own episodes; from an operator, for anybody's."""
        operates = permits(self.router, message.user, p.SetControl)
        if session is None and not operates:
            self.refuse(message.peer, "say hello first")
            return
        only = "" if session is None else session.book.actor
        peer = message.peer

        def answer(amended: p.Amended) -> None:
            self.router.send(peer, p.encode(amended))

        try:
            self.amend(message.body, answer, only=only, after=after)
        except (DataError, PoisonedDataError) as error:
            self.warnings.count_garbage(f"amendment: {error}")
            self.refuse(peer, str(error))

    def _set_control(self, peer: bytes, command: p.SetControl) -> None:
        try:
            self.learner_endpoint.set_control(command)
        except WireError as error:
            self.warnings.count_refused(str(error))
            self.refuse(peer, str(error), retry=False)

    def _data(self, message: Received, session: Session) -> None:
        if self.committer is None:
            self.refuse(message.peer, "say hello first")
            return
        session.heard = time.monotonic()
        try:
            self.committer.take(session.book, message.extra, message.body)
        except DataError as error:
            if not isinstance(error, Gap):
                self.warnings.count_garbage(f"chunk of actor '{session.book.actor}': {error}")
            del self.sessions.sessions[message.peer]
            self.refuse(message.peer, str(error))
            return
        self.touched[id(session.book)] = session.book

    def _beat(self, peer: bytes, session: Session, beat: p.Beat) -> None:
        book = session.book
        if (beat.actor, beat.epoch) == (book.actor, book.epoch) and beat.sent > book.expected:
            del self.sessions.sessions[peer]
            self.refuse(peer, f"sequence {beat.sent} was sent; expected {book.expected}")
            return
        session.heard, session.beat = time.monotonic(), beat
        self.router.send(peer, p.encode(self.news_for(book)))

    def _hello(self, message: Received, hello: p.Hello) -> None:
        peer = message.peer
        try:
            spec = check_hello(hello, self.spec)
            self.sessions.check_room(hello.actor, self.config.actors)
            if self.committer is None:
                self.serve(LogWriter.create(Path(self.config.log_dir), spec))
            self._check_owner(hello.actor, message.user)
        except RobotRLError as error:
            self.warnings.count_refused(f"handshake refused: {error}")
            self.refuse(peer, str(error), retry=isinstance(error, DataError))  # a disk may recover
            return
        book = self.sessions.claim(peer, hello, time.monotonic(), message.user)
        if book is None:
            self.refuse(
                peer,
                f"actor id '{hello.actor}' is in use by another I/O process; "
                "valid: an id of its own for each actor",
            )
            return
        self._note_plant(peer, hello.actor, spec)
        if self.committer is not None and book.pending:
            self._commit(self.committer, book)
        if hello.first_sequence > book.next_sequence:
            missing = hello.first_sequence - book.next_sequence
            self.warnings.gaps += missing
            self.warnings.warn(
                f"actor '{hello.actor}' no longer has {missing} records before sequence "
                f"{hello.first_sequence}"
            )
            book.next_sequence = book.acknowledged = hello.first_sequence
            book.account.steps += missing
        book.expected = book.next_sequence
        self.share()
        self.router.send(peer, p.encode(p.Welcome(self.news_for(book))))

    def _note_plant(self, peer: bytes, actor: str, spec: EnvSpec) -> None:
        """Says and keeps how an actor's robot differs from the log's, where it may."""
        if self.spec is None or not (plant := self.spec.plant_differences(spec)):
            return
        self.sessions.sessions[peer].plant = plant
        if self._plants.get(actor) != plant:
            self._plants[actor] = plant
            self.warnings.say(
                f"actor '{actor}' has another plant than the log (log != actor), taken all the "
                f"same: {'; '.join(plant)}"
            )

    def _check_owner(self, actor: str, user: str) -> None:
        """With keys: HandshakeError unless the id is nobody's yet, or this key's."""
        key, allow = self.router.key_of(user), self.router.allow
        if key is not None and allow is not None and self.owners is not None:
            self.owners.check(actor, key, allow)
            self.owners.claim(actor, key)

    def _commit(self, committer: LogCommitter, book: LifeBook) -> None:
        try:
            committer.commit(book)
        except DataError as error:
            self.warnings.warn(
                f"the log cannot be written, records stay in the actors' spools: {error}"
            )
            for peer in self.sessions.drop(book):
                self.refuse(peer, str(error))
