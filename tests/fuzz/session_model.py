"""What a session with ingest must come to: the log that a sequence of rules has to leave behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.ingest.server import IngestServer
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.chunk import ChunkKind, make_header, pack_header
from robot_rl.wire.process import IngestConfig
from robot_rl.wire.record import Kind, record_dtype
from robot_rl.wire.sockets import Dealer

SPEC = EnvSpec(
    "Session", (ArraySpec("state", (2,)),), ArraySpec("action", (1,)), (("command", 1),), 10.0
)
DTYPE = record_dtype(SPEC)
ANSWER_S = 60.0
"""An answer that has not come by then never will."""


def records(actor: str, epoch: int, first: int, count: int) -> Array:
    """The records of a life from a sequence on; the same ones whenever they are asked for."""
    rows = np.zeros(count, DTYPE)
    sequence = first + np.arange(count)
    rows["sequence"], rows["step"] = sequence, sequence % 5
    rows["kind"] = np.where(sequence % 5 == 0, Kind.START, Kind.STEP)
    rows["episode"], rows["human"] = sequence // 5, np.nan
    rows["reward"] = 1000 * ord(actor[0]) + 100 * epoch + sequence
    return rows


def chunk(actor: str, epoch: int, first: int, rows: Array) -> tuple[bytes, bytes]:
    """Header and payload as an I/O process sends them."""
    payload = rows.tobytes()
    header = make_header(
        ChunkKind.RECORDS,
        payload,
        actor=actor,
        epoch=epoch,
        first_sequence=first,
        count=len(rows),
        record_bytes=DTYPE.itemsize,
    )
    return pack_header(header), payload


@dataclass
class Life:
    """One (actor, epoch) as it ought to be."""

    actor: str
    epoch: int
    next: int = 0
    """Everything below was taken, or will never come."""
    before: int = 0
    """`next` before ingest restarted: it has forgotten what it was told would never come."""
    kept: set[int] = field(default_factory=set)
    """Sequences in quarantine."""
    logged: list[int] = field(default_factory=list)
    """Sequences that must be in the log, each once."""


@dataclass(eq=False)
class Client:
    """One connection of an I/O process."""

    life: Life
    dealer: Dealer
    greeted: bool = False


@dataclass
class World:
    """A server in this process, its clients, and what its log must hold."""

    folder: Path
    sockets: Path
    server: IngestServer = field(init=False)
    clients: list[Client] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    refused: int = 0
    quarantined: int = 0
    control: p.Control = field(default_factory=p.Control)

    def __post_init__(self) -> None:
        self.config = IngestConfig(
            actor_address=f"ipc://{self.sockets}/a",
            learner_address=f"ipc://{self.sockets}/l",
            log_dir=str(self.folder / "log"),
            spec=SPEC.to_json().decode(),
            sync_ms=0.0,
            granted=p.UNLIMITED,
        )
        self.server = IngestServer(self.config)

    def restart(self) -> None:
        """Ingest ends and begins again on the same log; it knows nothing but what is in there."""
        self.server.close()
        self.server = IngestServer(self.config)
        self.refused = 0
        paused = self.control.kind is p.ControlKind.PAUSE
        self.control = p.Control(1, p.ControlKind.PAUSE) if paused else p.Control()
        self.quarantined = sum(len(life.kept) for life in self.lives)
        for client in self.clients:
            client.greeted = False
            self._reconnect(client)
        for life in self.lives:
            life.before = max(life.before, life.next)
            life.next = life.logged[-1] + 1 if life.logged else 0
            while life.next in life.kept:
                life.next += 1

    def _reconnect(self, client: Client) -> None:
        """ZeroMQ loses what is sent before it has noticed that the other end went: asks again."""
        end = time.monotonic() + ANSWER_S
        answered = False
        while not answered:
            assert time.monotonic() < end, "the connection is not made again"
            client.dealer.send(p.encode(p.Ask()))
            for _ in range(4):
                self.server.turn()
                while (message := client.dealer.receive()) is not None:
                    answered |= isinstance(p.decode(message.head), p.Stats)

    def connect(self, life: Life) -> Client:
        client = Client(life, Dealer(self.config.actor_address))
        self.clients.append(client)
        return client

    def ask(self, client: Client, wanted: Callable[[p.Message], bool], *frames: bytes) -> p.Message:
        """Sends three frames (or none) and lets the server turn until the wanted answer is there.

        Every number that the server acknowledges on the way is checked.
        """
        if frames:
            assert client.dealer.send(*frames)
        end = time.monotonic() + ANSWER_S
        while time.monotonic() < end:
            self.server.turn()
            while (message := client.dealer.receive()) is not None:
                answer = p.decode(message.head)
                self._check_promise(answer)
                if wanted(answer):
                    return answer
        raise AssertionError(f"no answer within {ANSWER_S} s")

    def hello(self, client: Client, *, first: int = 0, sender: int = 0, **changes: object) -> bytes:
        raw: dict[str, object] = {
            "magic": handshake.MAGIC,
            "protocol": handshake.PROTOCOL,
            "actor": client.life.actor,
            "epoch": client.life.epoch,
            "sender": sender or ord(client.life.actor[0]),
            "first_sequence": first,
            "schema": SPEC.sha256(),
            "spec": SPEC.to_json(),
        }
        return p.encode(p.Hello(**(raw | changes)))  # type: ignore[arg-type]

    def greet(self, client: Client, *, first: int = 0) -> None:
        """A handshake; it ends every other session of this actor id."""
        life = client.life
        head = self.hello(client, first=first)
        life.next = max(life.next, first)
        answer = self.ask(client, lambda m: isinstance(m, p.Welcome | p.Refusal), head, b"", b"")
        assert isinstance(answer, p.Welcome), answer
        assert answer.news.next_sequence == life.next
        for other in self.clients:
            other.greeted = other is client or (other.greeted and other.life.actor != life.actor)

    def data(self, client: Client, first: int, rows: Array) -> None:
        """A chunk that may be taken: acknowledged by a living session, else refused."""
        life = client.life
        header, payload = chunk(life.actor, life.epoch, first, rows)
        if not client.greeted:
            self.refuse(client, p.DATA_HEAD, header, payload)
            return
        end = max(life.next, first + len(rows))
        places = range(life.next, end)
        life.next = end
        bad = {first + i for i in range(len(rows)) if not np.isfinite(rows["reward"][i])}
        life.logged += [place for place in places if place not in bad]
        self.quarantined += len(bad.intersection(places))
        life.kept |= bad.intersection(places)
        answer = self.ask(
            client, lambda m: isinstance(m, p.Ack | p.Refusal), p.DATA_HEAD, header, payload
        )
        assert answer == p.Ack(life.actor, life.epoch, end)

    def refuse(self, client: Client, *frames: bytes) -> None:
        """A message that ends the session, if there is one, in words."""
        answer = self.ask(client, lambda m: isinstance(m, p.Refusal), *frames)
        assert isinstance(answer, p.Refusal)
        assert answer.reason
        client.greeted = False

    def marker(self, client: Client) -> None:
        """Everything sent before has been handled, and the server knows whether there is a session.

        Ask first, whose answer comes behind all News that the server told everybody before.
        """
        self.ask(client, lambda m: isinstance(m, p.Stats), p.encode(p.Ask()), b"", b"")
        beat = p.encode(p.Beat(client.life.actor, client.life.epoch, 0, 0, 0, 0, 0, False, False))
        answer = self.ask(client, lambda m: isinstance(m, p.News | p.Refusal), beat, b"", b"")
        assert isinstance(answer, p.News) is client.greeted

    def check(self) -> None:
        """Acknowledged once is logged once, byte-equal, and the counters agree."""
        found: dict[tuple[str, int], list[Array]] = {}
        with LogReader(self.folder / "log") as reader:
            for part in reader.chunks():
                key = part.header.actor, part.header.epoch
                found.setdefault(key, []).append(part.records.copy())
        for life in self.lives:
            there = np.concatenate([*found.pop((life.actor, life.epoch), []), np.zeros(0, DTYPE)])
            wanted = [records(life.actor, life.epoch, place, 1) for place in life.logged]
            assert there.tobytes() == b"".join(rows.tobytes() for rows in wanted)
        assert not found, "nobody else is in the log"
        stats = self.server.stats()
        logged = [place for life in self.lives for place in life.logged]
        assert stats.records == len(logged)
        assert stats.steps == sum(place % 5 != 0 for place in logged)
        assert (stats.quarantined, stats.refused) == (self.quarantined, self.refused)
        assert stats.control == self.control

    def close(self) -> None:
        for client in self.clients:
            client.dealer.close()
        self.server.close()

    def _check_promise(self, answer: p.Message) -> None:
        told = answer.news if isinstance(answer, p.Welcome) else answer
        if isinstance(told, p.Ack | p.News):
            for life in self.lives:
                if (life.actor, life.epoch) == (told.actor, told.epoch):
                    high = max(life.next, life.before)
                    assert told.next_sequence <= high, "acknowledged more than was sent"
