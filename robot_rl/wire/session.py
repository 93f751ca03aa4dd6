"""The actor's side of the session with ingest: handshake, chunks, weights, credits, commands.

Driven by the I/O process's loop, which calls `pump`. One connection, one life (epoch) after the
other in the order of the spool; whatever goes wrong ends in a new handshake, which says from where
to send again, so nothing needs a second way to be repaired.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from robot_rl.errors import HandshakeError, WireError
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.connection import Connection
from robot_rl.wire.flight import Flight
from robot_rl.wire.keys import ClientKeys
from robot_rl.wire.mailbox import LinkStatus, MailboxWriter
from robot_rl.wire.outbox import Outbox
from robot_rl.wire.sockets import Received
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life
from robot_rl.wire.weight_fetch import WeightFetch

HELLO_S = 0.25
"""Between two tries of a handshake."""
BEAT_S = 0.2


@dataclass(slots=True)
class IngestSession:
    """One connection to ingest; see the module."""

    address: str
    actor: str
    spool: Spool
    mailbox: MailboxWriter
    outbox: Outbox
    flight: Flight = field(default_factory=Flight)
    insecure: bool = False
    keys: ClientKeys | None = None
    life: Life | None = None
    """The life that is being sent, or waits for the answer to its Hello."""
    welcomed: bool = False
    garbage: int = 0
    handshakes: int = 0
    ring_depth: int = 0
    """Set by the loop before each `pump`; part of the heartbeat."""
    _connection: Connection = field(init=False)
    _hello_at: float = 0.0
    _beat_at: float = 0.0
    _weights: WeightFetch = field(init=False)
    _latest: tuple[Life, int] | None = None
    _newest: p.News | None = None

    def __post_init__(self) -> None:
        self._weights = WeightFetch(self.mailbox)
        self._connection = Connection(
            self.address, self.actor, self.mailbox, self.insecure, self.keys
        )
        self._restart()

    @property
    def idle(self) -> bool:
        """Everything in the spool has been acknowledged, every amendment answered."""
        return not self.flight.waits and not self.outbox.entries and self.spool.peek() is None

    def attach(self, life: Life, first_sequence: int) -> None:
        """A (new) life whose records may come; greeted as soon as older ones are sent."""
        self._latest = (life, first_sequence)

    def wait(self, timeout_ms: int) -> bool:
        """True when a message has come."""
        return self._connection.wait(timeout_ms)

    def pump(self) -> bool:
        """Handles what came, sends what may go; never blocks. True if anything was done.

        Raises HandshakeError when ingest refuses this actor for good.
        """
        now = time.monotonic()
        busy = False
        while (message := self._connection.receive(now)) is not None:
            busy = True
            self._handle(message, now)
        progress = self.flight.progress_at if self.flight.waits else 0.0
        if self._connection.renewed_after_stall(now, progress):
            self._restart()
        if not self.welcomed:
            self._connection.watch(now)
            self._greet(now)
            return busy
        if now - self._beat_at > BEAT_S:
            self._beat(now)
        for entry in self.outbox.due(now):
            self._connection.dealer.send(p.encode(p.Amend(entry.after)), b"", entry.payload)
        return self._send() or busy

    def close(self) -> None:
        self._connection.close()

    def _restart(self) -> None:
        """Forgets what is in flight; the next handshake says where to go on."""
        self.welcomed = False
        self.flight.clear()
        self._hello_at = 0.0
        self.spool.rewind()

    def _greet(self, now: float) -> None:
        """Says Hello for the oldest life with unsent chunks, else for the newest."""
        if now - self._hello_at < HELLO_S:
            return
        chunk = self.spool.peek()
        if chunk is not None:
            self.life = chunk.life
        elif self._latest is not None:
            self.life = self._latest[0]
        if self.life is None:
            return
        life = self.life
        kept = [s.first_sequence for s in self.spool.segments if s.life == life and not s.empty]
        first = kept[0] if kept else self._latest[1] if self._latest else 0
        schema = handshake.schema_of(life)
        greeting = handshake.hello(
            life.actor, life.epoch, self.spool.identity, first, life.spec, schema
        )
        if self._connection.dealer.send(p.encode(greeting)):
            self._hello_at = now
            self.handshakes += 1

    def _handle(self, message: Received, now: float) -> None:
        try:
            parsed = p.decode(message.head)
        except WireError:
            self.garbage += 1
            return
        match parsed:
            case p.Ack():
                self._acknowledge(parsed.epoch, parsed.next_sequence, now)
            case p.News():
                self._news(parsed, now)
            case p.Part():
                taken = self._weights.take(self._connection.dealer, parsed, message.body, now)
                self.garbage += not taken
                self._credit()
            case p.Welcome():
                self._welcome(parsed.news, now)
            case p.Refusal(reason, retry):
                self._refused(reason, retry)
            case p.Amended(token, refusal):
                self.outbox.answered(token, refusal)
            case p.Hello():
                self._let_go(now)
            case _:
                self.garbage += 1

    def _let_go(self, now: float) -> None:
        """Our own Hello: where nobody listens, TCP may connect a port of this host to itself, and
        the learner could not listen there as long as we hold it (RFC 9293, 3.5: simultaneous open).
        """
        self._connection.renew(
            f"{self.address} is not there: the connection led back to this process"
        )
        self._restart()
        self._hello_at = now

    def _refused(self, reason: str, retry: bool) -> None:
        if retry:
            if self.welcomed:
                self._restart()
            else:
                self.mailbox.say(LinkStatus.DISCONNECTED, reason)
            return
        self.mailbox.say(LinkStatus.REFUSED, reason)
        raise HandshakeError(reason)

    def _welcome(self, news: p.News, now: float) -> None:
        if self.welcomed or self.life is None or news.epoch != self.life.epoch:
            return  # the answer to a Hello that was sent twice
        self.welcomed = True
        self.flight.begin(news.next_sequence, now)
        self.spool.acknowledge(news.epoch, news.next_sequence)
        while (chunk := self.spool.peek()) is not None:
            if chunk.life.epoch != news.epoch or chunk.next_sequence > news.next_sequence:
                break
            self.spool.advance(chunk)
        self._connection.welcomed()
        self._news(news, now)
        self._weights.follow(self._connection.dealer, now)

    def _send(self) -> bool:
        """Chunks, as far as the window allows; a chunk of another life is greeted first."""
        sent = False
        while self.flight.room:
            chunk = self.spool.peek()
            if chunk is None:
                if self._latest and self.life and self._latest[0].epoch != self.life.epoch:
                    self._next_life(self._latest[0])
                break
            if self.life is None or chunk.life.epoch != self.life.epoch:
                self._next_life(chunk.life)
                break
            if not self._connection.dealer.send(p.DATA_HEAD, chunk.header, chunk.payload):
                break
            self.flight.add(chunk, time.monotonic())
            self.spool.advance(chunk)
            sent = True
        return sent

    def _next_life(self, life: Life) -> None:
        """The older life is sent; the handshake of the next one waits for its acknowledgements."""
        if self.flight.waits:
            return
        self.life, self.welcomed, self._hello_at = life, False, 0.0

    def _acknowledge(self, epoch: int, next_sequence: int, now: float) -> None:
        self.flight.acknowledge(epoch, next_sequence, now)
        self.spool.acknowledge(epoch, next_sequence)

    def _news(self, news: p.News, now: float) -> None:
        if self.life is None or news.epoch != self.life.epoch or not self.welcomed:
            return
        self._acknowledge(news.epoch, news.next_sequence, now)
        self.mailbox.update(published_version=news.weights_version)
        self._newest = news
        self._credit()
        self._obey(news.control)
        self._weights.repair(self._connection.dealer, news.weights_version, now)

    def _credit(self) -> None:
        """Passes new credit on, once the weights that it is for are in the mailbox."""
        news, state = self._newest, self.mailbox.state
        if news is not None and state.weights_version >= news.credit_version:
            self.mailbox.update(credit_epoch=news.epoch, credits=news.credits)

    def _obey(self, control: p.Control) -> None:
        """A person's pause holds until a person's next command: an ingest that has restarted knows
        of none (number 0), and by that no robot may move again."""
        if control.number or not self._paused:
            self.mailbox.update(
                control_number=control.number,
                control_kind=int(control.kind),
            )

    @property
    def _paused(self) -> bool:
        return self.mailbox.state.control_kind == p.ControlKind.PAUSE

    def _beat(self, now: float) -> None:
        if self.life is None:
            return
        self._beat_at = now
        epoch, beat_ns, version, resting = self.mailbox.actor_beat()
        age = (time.monotonic_ns() - beat_ns) // 1_000_000 if beat_ns else -1
        mine = epoch == self.life.epoch
        used, rests = (version, resting and self._paused) if mine else (0, False)
        depth, size, sent = self.ring_depth, self.spool.size, self.flight.sent
        paused = self._paused
        beat = p.Beat(self.actor, self.life.epoch, depth, size, age, used, sent, paused, rests)
        self._connection.dealer.send(p.encode(beat))
