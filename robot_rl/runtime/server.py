"""Ingest's sockets: sessions with actors' I/O processes, and the door for learner and consoles."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from robot_rl.data.log_writer import LogWriter
from robot_rl.data.manifest import FILE, read_manifest
from robot_rl.errors import DataError, PoisonedDataError, RobotRLError, WireError
from robot_rl.runtime.census import census
from robot_rl.runtime.credits import Account, share
from robot_rl.runtime.intake import Gap, Intake, LifeBook
from robot_rl.specs import EnvSpec
from robot_rl.wire import protocol as p
from robot_rl.wire.record import record_dtype
from robot_rl.wire.sockets import Received, Router, Waiter
from robot_rl.wire.weights import Assembly, FlatWeights

LEASE_S = 1.0
"""An I/O process that was heard within this time keeps its actor's id."""
ACTIVE_S = 3.0
"""A life heard within this time gets credits."""
BURST = 512
"""Messages handled before the others get their turn."""
WAIT_MS = 50


class IngestConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where things are, and the policy of the disk."""

    actor_address: str
    learner_address: str
    log_dir: str
    spec: str = ""
    """Canonical JSON of the EnvSpec; "" takes the log's, or the first actor's."""
    sync_ms: float = 20.0
    """The log is synced at most this often, and acknowledged only then: what a crash of the whole
    host may cost is this plus one sync. 0: acknowledged once appended, synced by the system."""
    granted: int = 0
    """STEP records the log may have before any learner grants more; UNLIMITED for recording."""
    insecure: bool = False
    parent_pid: int = 0


@dataclass(slots=True)
class Session:
    """One connection of an I/O process."""

    book: LifeBook
    sender: int
    heard: float
    beat: p.Beat | None = None


@dataclass(slots=True)
class IngestServer:
    """What ingest holds; `turn` is its loop's body."""

    config: IngestConfig
    router: Router = field(init=False)
    door: Router = field(init=False)
    waiter: Waiter = field(init=False)
    spec: EnvSpec | None = None
    intake: Intake | None = None
    sessions: dict[bytes, Session] = field(default_factory=dict)
    books: dict[tuple[str, int], LifeBook] = field(default_factory=dict)
    weights: FlatWeights | None = None
    control: p.Control = field(default_factory=p.Control)
    granted: int = 0
    garbage: int = 0
    refused: int = 0
    gaps: int = 0
    updates: int = 0
    _learner_heard: float = 0.0
    _assembly: Assembly = field(default_factory=Assembly)
    _news: bool = False
    _warned: float = 0.0

    def __post_init__(self) -> None:
        config = self.config
        self.granted = config.granted
        self.router = Router(config.actor_address, insecure=config.insecure)
        try:
            self.door = Router(config.learner_address, insecure=config.insecure)
            try:
                self._open_log()
            except RobotRLError:
                self.door.close()
                raise
        except RobotRLError:
            self.router.close()
            raise
        self._listen()

    def turn(self) -> None:
        """Waits for something, then handles what there is."""
        self.waiter.wait(WAIT_MS)
        for _ in range(BURST):
            if (message := self.door.receive()) is None:
                break
            self._from_door(message)
        touched: dict[int, LifeBook] = {}
        for _ in range(BURST):
            if (message := self.router.receive()) is None:
                break
            self._from_actor(message, touched)
        if self.intake is not None:
            for book in touched.values():
                self._commit(self.intake, book)
            for book in self.intake.durable():
                self._acknowledge(book)
            self._share()
        if self._news:
            self._news = False
            for peer, session in self.sessions.items():
                self.router.send(peer, p.encode(self._news_for(session.book)))

    def close(self) -> None:
        """Syncs and closes the log, frees the sockets."""
        if self.intake is not None:
            self.intake.close()
        self.router.close()
        self.door.close()

    def stats(self) -> p.Stats:
        """Everything a console or learner wants to know."""
        now = time.monotonic()
        intake = self.intake
        return p.Stats(
            records=intake.records if intake else 0,
            steps=self._steps(),
            granted=self.granted,
            weights_version=self.weights.version if self.weights else 0,
            quarantined=intake.quarantined if intake else 0,
            garbage=self.garbage + self.router.garbage + self.door.garbage,
            refused=self.refused,
            gaps=self.gaps,
            queue=intake.queue if intake else 0,
            sync_ms=self.config.sync_ms,
            updates=self.updates,
            learner_age_ms=self._learner_age(now),
            actors=[self._actor_stats(book, now) for book in self._newest_books()],
        )

    def _open_log(self) -> None:
        path = Path(self.config.log_dir)
        wanted = EnvSpec.from_json(self.config.spec.encode()) if self.config.spec else None
        if (path / FILE).exists():
            log = LogWriter.open(path, wanted or read_manifest(path).spec)
            if log.torn:
                self._warn(log.torn)
            self._serve(log)
        elif wanted is not None:
            self._serve(LogWriter.create(path, wanted))

    def _serve(self, log: LogWriter) -> None:
        """The log is there: counts what it has, and takes records from now on."""
        self.spec = log.spec
        self.intake = Intake(log, record_dtype(log.spec), self.config.sync_ms)
        for (actor, epoch), count in census(log.path).items():
            following = log.last_sequence(actor, epoch) + 1
            book = LifeBook(actor, epoch, following, following, count.records)
            book.account = Account(count.steps, count.steps)
            book.expected = following
            self.books[actor, epoch] = book
            self.intake.records += count.records
            self.intake.steps += count.steps
        self._listen()

    def _listen(self) -> None:
        descriptors = []
        if self.intake is not None and self.intake.syncer is not None:
            descriptors.append(self.intake.syncer.descriptor)
        self.waiter = Waiter([self.router, self.door], descriptors)

    def _from_actor(self, message: Received, touched: dict[int, LifeBook]) -> None:
        session = self.sessions.get(message.peer)
        if message.head == p.DATA_HEAD:
            self._data(message, session, touched)
            return
        try:
            parsed = p.decode(message.head)
        except WireError as error:
            self._garbage(f"from an actor's side: {error}")
            return
        if isinstance(parsed, p.Hello):
            self._hello(message.peer, parsed)
        elif session is None:
            self._refuse(message.peer, "say hello first", retry=True)
        elif isinstance(parsed, p.Beat):
            session.heard, session.beat = time.monotonic(), parsed
            self.router.send(message.peer, p.encode(self._news_for(session.book)))
        elif isinstance(parsed, p.Get):
            self._part(message.peer, session, parsed)
        else:
            self._garbage(f"a {type(parsed).__name__} from an actor's side")

    def _data(
        self, message: Received, session: Session | None, touched: dict[int, LifeBook]
    ) -> None:
        if session is None or self.intake is None:
            self._refuse(message.peer, "say hello first", retry=True)
            return
        session.heard = time.monotonic()
        try:
            self.intake.take(session.book, message.extra, message.body)
        except DataError as error:
            if not isinstance(error, Gap):
                self._garbage(f"chunk of actor '{session.book.actor}': {error}")
            del self.sessions[message.peer]
            self._refuse(message.peer, str(error), retry=True)
            return
        touched[id(session.book)] = session.book

    def _commit(self, intake: Intake, book: LifeBook) -> None:
        try:
            intake.commit(book)
        except DataError as error:
            self._warn(f"the log cannot be written, records stay in the actors' spools: {error}")
            for peer in [peer for peer, s in self.sessions.items() if s.book is book]:
                del self.sessions[peer]
                self._refuse(peer, str(error), retry=True)

    def _hello(self, peer: bytes, hello: p.Hello) -> None:
        try:
            spec = p.check_hello(hello, self.spec)
            if self.intake is None:
                self._serve(LogWriter.create(Path(self.config.log_dir), spec))
        except RobotRLError as error:
            self.refused += 1
            self._warn(f"handshake refused: {error}")
            self._refuse(peer, str(error), retry=False)
            return
        now = time.monotonic()
        for other, session in list(self.sessions.items()):
            if session.book.actor != hello.actor or other == peer:
                continue
            if session.sender != hello.sender and now - session.heard < LEASE_S:
                self._refuse(
                    peer,
                    f"actor id '{hello.actor}' is in use by another I/O process; "
                    "valid: an id of its own for each actor",
                    retry=True,
                )
                return
            del self.sessions[other]
        book = self._book(hello.actor, hello.epoch)
        if self.intake is not None and book.pending:
            self._commit(self.intake, book)
        if hello.first_sequence > book.next_sequence:
            missing = hello.first_sequence - book.next_sequence
            self.gaps += missing
            self._warn(
                f"actor '{hello.actor}' no longer has {missing} records before sequence "
                f"{hello.first_sequence}"
            )
            book.next_sequence = hello.first_sequence
        book.expected = book.next_sequence
        self.sessions[peer] = Session(book, hello.sender, now)
        self._share()
        self.router.send(peer, p.encode(p.Welcome(self._news_for(book))))

    def _book(self, actor: str, epoch: int) -> LifeBook:
        """What is known of this life, from this process or from the log."""
        return self.books.setdefault((actor, epoch), LifeBook(actor, epoch))

    def _newest_books(self) -> list[LifeBook]:
        """The last life of each actor."""
        newest = {book.actor: book for book in self.books.values()}
        return list(newest.values())

    def _share(self) -> None:
        now = time.monotonic()
        active = [s.book.account for s in self.sessions.values() if now - s.heard < ACTIVE_S]
        self._news = share(self.granted, self._steps(), active) or self._news

    def _steps(self) -> int:
        return self.intake.steps if self.intake else 0

    def _acknowledge(self, book: LifeBook) -> None:
        for peer, session in self.sessions.items():
            if session.book is book:
                ack = p.Ack(book.actor, book.epoch, book.acknowledged)
                self.router.send(peer, p.encode(ack))

    def _news_for(self, book: LifeBook) -> p.News:
        return p.News(
            book.actor,
            book.epoch,
            book.acknowledged,
            self.weights.version if self.weights else 0,
            len(self.weights.data) if self.weights else 0,
            book.account.allowed,
            self.control,
            self._learner_age(time.monotonic()),
        )

    def _part(self, peer: bytes, session: Session, get: p.Get) -> None:
        weights = self.weights
        if weights is None or get.version != weights.version or get.offset < 0:
            self.router.send(peer, p.encode(self._news_for(session.book)))
            return
        head, body = weights.part(get.offset, p.PART_BYTES)
        self.router.send(peer, p.encode(head), b"", body)

    def _from_door(self, message: Received) -> None:
        try:
            parsed = p.decode(message.head)
            self._learner_heard = time.monotonic()
            match parsed:
                case p.Ask():
                    self.updates = parsed.updates
                    self.door.send(message.peer, p.encode(self.stats()))
                case p.Grant(total):
                    self.granted = total
                    self._share()
                case p.Steer(kind, value):
                    self.control = p.Control(self.control.number + 1, kind, value)
                    self._news = True
                case p.Part():
                    self._publish(parsed, message.body)
                case _:
                    self._garbage(f"a {type(parsed).__name__} from the learner's side")
        except (WireError, PoisonedDataError) as error:
            self._garbage(f"from the learner's side: {error}")
            self._refuse(message.peer, str(error), retry=False, door=True)

    def _publish(self, part: p.Part, body: bytes | memoryview) -> None:
        done = self._assembly.add(part, body)
        if done is not None:
            self.weights = done
            self._news = True

    def _refuse(self, peer: bytes, reason: str, *, retry: bool, door: bool = False) -> None:
        socket = self.door if door else self.router
        socket.send(peer, p.encode(p.Refusal(reason, retry)))

    def _garbage(self, what: str) -> None:
        self.garbage += 1
        self._warn(f"garbage {what}")

    def _warn(self, text: str) -> None:
        """At most ten lines a second: a flood must not fill the disk."""
        now = time.monotonic()
        if now - self._warned > 0.1:
            self._warned = now
            print(f"WARN ingest: {text}", file=sys.stderr, flush=True)

    def _learner_age(self, now: float) -> int:
        return int(1000 * (now - self._learner_heard)) if self._learner_heard else -1

    def _actor_stats(self, book: LifeBook, now: float) -> p.ActorStats:
        session = next((s for s in self.sessions.values() if s.book is book), None)
        beat = session.beat if session else None
        return p.ActorStats(
            actor=book.actor,
            epoch=book.epoch,
            connected=session is not None and now - session.heard < ACTIVE_S,
            records=book.records,
            steps=book.account.steps,
            allowed=book.account.allowed,
            heard_ms=int(1000 * (now - session.heard)) if session else -1,
            actor_age_ms=beat.actor_age_ms if beat else -1,
            ring_depth=beat.ring_depth if beat else 0,
            spool_bytes=beat.spool_bytes if beat else 0,
            used_version=beat.used_version if beat else 0,
            quarantined=book.quarantined,
        )
