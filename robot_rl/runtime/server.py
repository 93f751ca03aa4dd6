"""Ingest's sockets: sessions with actors' I/O processes, and the door for learner and consoles."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import DataError, PoisonedDataError, RobotRLError, WireError
from robot_rl.runtime.census import census, open_log
from robot_rl.runtime.endpoints import IngestConfig
from robot_rl.runtime.gate import refusal_of
from robot_rl.runtime.intake import Gap, Intake, LifeBook
from robot_rl.runtime.registry import Registry, Session
from robot_rl.runtime.weight_store import WeightStore
from robot_rl.specs import EnvSpec
from robot_rl.wire import protocol as p
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.memory import keep_heap
from robot_rl.wire.record import record_dtype
from robot_rl.wire.sockets import Received, Router, Waiter

BURST = 512
"""Messages handled before they are committed and the others get their turn."""
BURST_BYTES = 64 << 20
WAIT_MS = 50
GRANT_MS = 3
"""Between two messages about credits: a learner grants with every update."""
WARN_S = 0.1
"""Between two warnings, at least: a flood of garbage must not fill the disk."""


@dataclass(slots=True)
class IngestServer:
    """What ingest holds; `turn` is its loop's body."""

    config: IngestConfig
    router: Router = field(init=False)
    door: Router = field(init=False)
    waiter: Waiter = field(init=False)
    registry: Registry = field(default_factory=Registry)
    spec: EnvSpec | None = None
    intake: Intake | None = None
    """None until there is a log: one that exists, or a specification to make one for."""
    store: WeightStore = field(default_factory=WeightStore)
    control: p.Control = field(default_factory=p.Control)
    granted: int = 0
    garbage: int = 0
    refused: int = 0
    gaps: int = 0
    updates: int = 0
    _learner_heard: float = 0.0
    _news: bool = False
    """Something that actors are told at once."""
    _granted: bool = False
    """Credits, which may wait for GRANT_MS."""
    _told: float = 0.0
    _warned: float = 0.0

    def __post_init__(self) -> None:
        keep_heap()
        config = self.config
        self.granted = config.granted
        keys = KeyFolder(Path(config.keys)) if config.keys else None
        self.router = Router(config.actor_address, insecure=config.insecure, keys=keys)
        try:
            self.door = Router(config.learner_address, insecure=config.insecure)
            try:
                log = open_log(Path(config.log_dir), config.spec)
                if log is not None:
                    self._warn(log.torn)
                    self._serve(log)
            except RobotRLError:
                self.door.close()
                raise
        except RobotRLError:
            self.router.close()
            raise
        self._listen()

    def turn(self) -> None:
        """Waits for something, then handles what there is."""
        self.waiter.wait(GRANT_MS if self._granted else WAIT_MS)
        for _ in range(BURST):
            if (message := self.door.receive()) is None:
                break
            self._from_door(message)
        self._admit()
        touched: dict[int, LifeBook] = {}
        left = BURST_BYTES
        for _ in range(BURST):
            if left < 0 or (message := self.router.receive()) is None:
                break
            left -= len(message.body)
            self._from_actor(message, touched)
        if self.intake is not None:
            for book in touched.values():
                self._commit(self.intake, book)
            self._acknowledge(self.intake)
            self._share()
        now = time.monotonic()
        if self._news or (self._granted and now - self._told > GRANT_MS / 1000):
            self._news = self._granted = False
            self._told = now
            for peer, session in self.registry.sessions.items():
                self._send_part(peer, session, None)
                self.router.send(peer, p.encode(self._news_for(session.book)))

    def close(self) -> None:
        """Syncs and closes the log, frees the sockets."""
        try:
            if self.intake is not None:
                self._acknowledge(self.intake)
                self.intake.close()
        finally:
            self.router.close()
            self.door.close()

    def stats(self) -> p.Stats:
        """Everything a console or learner wants to know."""
        intake = self.intake
        return p.Stats(
            records=intake.records if intake else 0,
            steps=intake.steps if intake else 0,
            granted=self.granted,
            weights_version=self.store.version,
            quarantined=intake.quarantined if intake else 0,
            garbage=self.garbage + self.router.garbage + self.door.garbage,
            refused=self.refused,
            gaps=self.gaps,
            queue=intake.queue if intake else 0,
            sync_ms=self.config.sync_ms,
            updates=self.updates,
            learner_age_ms=self._learner_age(),
            actors=self.registry.stats(time.monotonic()),
            denied=self.router.denied,
            control=self.control,
        )

    def _serve(self, log: LogWriter) -> None:
        """The log is there: counts what it has, and takes records from now on."""
        self.spec = log.spec
        self.intake = Intake(log, record_dtype(log.spec), self.config.sync_ms)
        for (actor, epoch), count in census(log.path).items():
            following = log.last_sequence(actor, epoch) + 1
            self.registry.restore(actor, epoch, following, count.records, count.steps)
            self.intake.records += count.records
            self.intake.steps += count.steps
        self._listen()

    def _listen(self) -> None:
        descriptors = []
        if self.intake is not None and self.intake.syncer is not None:
            descriptors.append(self.intake.syncer.descriptor)
        self.waiter = Waiter([self.router, self.door], descriptors)

    def _from_actor(self, message: Received, touched: dict[int, LifeBook]) -> None:
        session = self.registry.sessions.get(message.peer)
        if session is not None and session.user != message.user:
            session = None  # a routing id that its owner has left, taken by another key
        if message.head == p.DATA_HEAD and session is not None:
            self._data(message, session, touched)
            return
        try:
            parsed = p.decode(message.head)
        except WireError as error:
            self._count_garbage(f"from an actor's side: {error}")
            return
        if not self._permits(message, parsed):
            return
        if isinstance(parsed, p.Hello):
            self._hello(message, parsed)
        elif isinstance(parsed, p.Ask | p.Steer):
            self._console(message, parsed)
        elif session is None:
            self._refuse(message.peer, "say hello first")
        elif isinstance(parsed, p.Beat):
            session.heard, session.beat = time.monotonic(), parsed
            self.router.send(message.peer, p.encode(self._news_for(session.book)))
        elif isinstance(parsed, p.Get):
            self._send_part(message.peer, session, parsed)
        else:
            self._count_garbage(f"a {type(parsed).__name__} from an actor's side")

    def _permits(self, message: Received, parsed: p.Message) -> bool:
        """Whether the sender's role may send this; a refusal names the role and what is valid."""
        reason = refusal_of(self.router, message.user, parsed)
        if not reason:
            return True
        self.refused += 1
        self._warn(reason)
        self._refuse(message.peer, reason, retry=False)
        return False

    def _console(self, message: Received, parsed: p.Ask | p.Steer) -> None:
        """An operator or a viewer; unlike the learner's, its Ask is no heartbeat."""
        if isinstance(parsed, p.Steer):
            self._steer(parsed)
        else:
            self.router.send(message.peer, p.encode(self.stats()))

    def _steer(self, steer: p.Steer) -> None:
        self.control = p.Control(self.control.number + 1, steer.kind, steer.value)
        self._news = True

    def _admit(self) -> None:
        """Who may connect; sessions of keys that are revoked meanwhile end."""
        self.router.tend()
        for line in self.router.complaints():
            self._say(line)
        allow = self.router.allow
        if not self.router.allow_changed or allow is None:
            return
        self.router.allow_changed = False
        for peer, session in list(self.registry.sessions.items()):
            if reason := allow.refusal(session.user):
                del self.registry.sessions[peer]
                self._refuse(peer, reason, retry=False)
                self._say(f"session of actor '{session.book.actor}' ended: {reason}")

    def _data(self, message: Received, session: Session, touched: dict[int, LifeBook]) -> None:
        if self.intake is None:
            self._refuse(message.peer, "say hello first")
            return
        session.heard = time.monotonic()
        try:
            self.intake.take(session.book, message.extra, message.body)
        except DataError as error:
            if not isinstance(error, Gap):
                self._count_garbage(f"chunk of actor '{session.book.actor}': {error}")
            del self.registry.sessions[message.peer]
            self._refuse(message.peer, str(error))
            return
        touched[id(session.book)] = session.book

    def _hello(self, message: Received, hello: p.Hello) -> None:
        peer = message.peer
        try:
            spec = p.check_hello(hello, self.spec)
            self.registry.check_room(hello.actor, self.config.actors)
            if self.intake is None:
                self._serve(LogWriter.create(Path(self.config.log_dir), spec))
        except RobotRLError as error:
            self.refused += 1
            self._warn(f"handshake refused: {error}")
            self._refuse(peer, str(error), retry=False)
            return
        book = self.registry.claim(peer, hello, time.monotonic(), message.user)
        if book is None:
            self._refuse(
                peer,
                f"actor id '{hello.actor}' is in use by another I/O process; "
                "valid: an id of its own for each actor",
            )
            return
        if self.intake is not None and book.pending:
            self._commit(self.intake, book)
        if hello.first_sequence > book.next_sequence:
            missing = hello.first_sequence - book.next_sequence
            self.gaps += missing
            self._warn(
                f"actor '{hello.actor}' no longer has {missing} records before sequence "
                f"{hello.first_sequence}"
            )
            book.next_sequence = book.acknowledged = hello.first_sequence
            book.account.steps += missing
        book.expected = book.next_sequence
        self._share()
        self.router.send(peer, p.encode(p.Welcome(self._news_for(book))))

    def _commit(self, intake: Intake, book: LifeBook) -> None:
        try:
            intake.commit(book)
        except DataError as error:
            self._warn(f"the log cannot be written, records stay in the actors' spools: {error}")
            for peer in self.registry.drop(book):
                self._refuse(peer, str(error))

    def _acknowledge(self, intake: Intake) -> None:
        for book in intake.durable():
            for peer in self.registry.peers(book):
                ack = p.Ack(book.actor, book.epoch, book.acknowledged)
                self.router.send(peer, p.encode(ack))

    def _share(self) -> None:
        steps = self.intake.steps if self.intake else 0
        changed = self.registry.share(self.granted, steps, time.monotonic())
        self._granted = changed or self._granted

    def _news_for(self, book: LifeBook) -> p.News:
        return p.News(
            book.actor,
            book.epoch,
            book.acknowledged,
            self.store.version,
            self.store.size,
            book.account.allowed,
            self.control,
            self._learner_age(),
        )

    def _send_part(self, peer: bytes, session: Session, get: p.Get | None) -> None:
        """What was asked for now (`get`), or what a standing request waits for."""
        found = self.store.answer(session, get) if get else self.store.wanted(session)
        if found is not None:
            self.router.send(peer, p.encode(found[0]), b"", found[1])

    def _from_door(self, message: Received) -> None:
        try:
            parsed = p.decode(message.head)
            match parsed:
                case p.Ask():
                    self.updates = parsed.updates
                    self.door.send(message.peer, p.encode(self.stats()))
                case p.Grant(total):
                    self.granted = total
                    self._share()
                case p.Steer():
                    self._steer(parsed)
                case p.Part():
                    self._news = self.store.take(parsed, message.body) or self._news
                case _:
                    raise WireError(f"a {type(parsed).__name__} at the learner's address")
            self._learner_heard = time.monotonic()
        except (WireError, PoisonedDataError) as error:
            self._count_garbage(f"from the learner's side: {error}")
            self.door.send(message.peer, p.encode(p.Refusal(str(error))))

    def _refuse(self, peer: bytes, reason: str, *, retry: bool = True) -> None:
        self.router.send(peer, p.encode(p.Refusal(reason, retry)))

    def _count_garbage(self, what: str) -> None:
        self.garbage += 1
        self._warn(f"garbage {what}")

    def _warn(self, text: str) -> None:
        now = time.monotonic()
        if text and now - self._warned > WARN_S:
            self._warned = now
            self._say(text)

    def _say(self, text: str) -> None:
        print(f"WARN ingest: {text}", file=sys.stderr, flush=True)

    def _learner_age(self) -> int:
        """Milliseconds since a learner was heard; -1 before."""
        heard = self._learner_heard
        return int(1000 * (time.monotonic() - heard)) if heard else -1
