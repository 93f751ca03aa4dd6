"""A property-based state machine over the session: real sockets, any order of good and bad.

After each rule the log holds exactly what was acknowledged, once and byte-equal; at the end the
server still serves a fresh, honest client.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from session_model import Client, Life, World, chunk, records

from robot_rl.ingest.log_committer import LifeBook, LogCommitter
from robot_rl.wire import protocol as p
from robot_rl.wire.addresses import runtime_directory
from robot_rl.wire.chunk import ChunkHeader

CLIENTS = 5
COUNTS = st.integers(1, 6)


class Session(RuleBasedStateMachine):
    """Rules are named after what a client does."""

    @initialize()
    def begin(self) -> None:
        self.sockets = runtime_directory(f"s-{secrets.token_hex(4)}")
        self.folder = Path(tempfile.mkdtemp(prefix="session-"))
        self.world = World(self.folder, self.sockets)
        self.world.lives = [Life("a", 1), Life("b", 1)]

    def pick(self, number: int) -> Client:
        return self.world.clients[number % len(self.world.clients)]

    @precondition(lambda self: len(self.world.clients) < CLIENTS)
    @rule(actor=st.sampled_from("ab"), new_life=st.booleans())
    def connect(self, actor: str, new_life: bool) -> None:
        lives = [life for life in self.world.lives if life.actor == actor]
        if new_life:
            lives.append(Life(actor, lives[-1].epoch + 1))
            self.world.lives.append(lives[-1])
        client = self.world.connect(lives[-1])
        self.world.marker(client)

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1))
    def disconnect(self, number: int) -> None:
        client = self.pick(number)
        client.dealer.close()
        self.world.clients.remove(client)

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), behind=st.booleans())
    def hello(self, number: int, behind: bool) -> None:
        client = self.pick(number)
        self.world.greet(client, first=client.life.next + 3 if behind else 0)

    @precondition(lambda self: self.world.clients)
    @rule(
        number=st.integers(0, CLIENTS - 1),
        change=st.sampled_from(
            [
                {"magic": "other"},
                {"protocol": 99},
                {"schema": "0" * 64},
                {"spec": b"{}"},
                {"spec": b"\xff" * 40},
                {"actor": "../a"},
                {"actor": ""},
            ]
        ),
    )
    def wrong_hello(self, number: int, change: dict[str, object]) -> None:
        client = self.pick(number)
        head = self.world.hello(client, **change)
        self.world.refused += 1
        answer = self.world.ask(client, lambda m: isinstance(m, p.Refusal), head, b"", b"")
        assert isinstance(answer, p.Refusal)
        assert not answer.retry, "saying it again would not help"
        self.world.marker(client)

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), count=COUNTS, back=st.integers(0, 4))
    def data(self, number: int, count: int, back: int) -> None:
        """In order, or again from up to `back` records before: partly or wholly twice."""
        client = self.pick(number)
        life = client.life
        first = max(0, life.next - back)
        self.world.data(client, first, records(life.actor, life.epoch, first, count))

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), count=COUNTS)
    def poisoned_data(self, number: int, count: int) -> None:
        client = self.pick(number)
        rows = records(client.life.actor, client.life.epoch, client.life.next, count)
        rows["reward"][count // 2] = np.nan
        self.world.data(client, client.life.next, rows)

    @precondition(lambda self: self.world.clients)
    @rule(
        number=st.integers(0, CLIENTS - 1),
        count=COUNTS,
        how=st.sampled_from(["gap", "payload", "header", "short", "long", "empty", "life", "bare"]),
    )
    def bad_data(self, number: int, count: int, how: str) -> None:
        client = self.pick(number)
        life = client.life
        first = life.next + (how == "gap")
        rows = records(life.actor, life.epoch, first, count)
        header, payload = chunk(life.actor, life.epoch + (how == "life"), first, rows)
        if how == "payload":
            payload = payload[:-1] + bytes([payload[-1] ^ 1])
        elif how == "header":
            header = header[:20] + bytes([header[20] ^ 1]) + header[21:]
        elif how == "short":
            payload = payload[:-7]
        elif how == "long":
            payload += bytes(1 << 20)
        elif how == "empty":
            payload = b""
        elif how == "bare":
            header = b""
        self.world.refuse(client, p.DATA_HEAD, header, payload)

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), version=st.integers(0, 3), offset=st.integers(-1, 9))
    def beat_and_get(self, number: int, version: int, offset: int) -> None:
        client = self.pick(number)
        client.dealer.send(p.encode(p.Get(version, offset)))
        if not client.greeted:
            self.world.refuse(client)
        self.world.marker(client)

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), more=st.integers(-3, 3))
    def beat_after_a_lost_chunk(self, number: int, more: int) -> None:
        """Who has sent more than came in is told at once, not at its next chunk."""
        client = self.pick(number)
        life = client.life
        sent = max(0, life.next + more)
        beat = p.encode(p.Beat(life.actor, life.epoch, 0, 0, 0, 0, sent, False, False))
        if more > 0 or not client.greeted:
            self.world.refuse(client, beat, b"", b"")
        else:
            client.dealer.send(beat)
        self.world.marker(client)

    @precondition(lambda self: self.world.clients)
    @rule(
        number=st.integers(0, CLIENTS - 1),
        kind=st.sampled_from(p.ControlKind),
    )
    def set_control(self, number: int, kind: p.ControlKind) -> None:
        """A console's command; on a private address anyone of this user may give it."""
        client = self.pick(number)
        self.world.control = p.Control(self.world.control.number + 1, kind)
        client.dealer.send(p.encode(p.SetControl(kind)))
        self.world.marker(client)

    @precondition(lambda self: self.world.clients)
    @rule(
        number=st.integers(0, CLIENTS - 1),
        message=st.sampled_from([p.Grant(5), p.Ack("a", 1, 99), p.Refusal("no")]),
    )
    def message_of_another_role(self, number: int, message: p.Message) -> None:
        client = self.pick(number)
        self.world.refused += 1
        answer = self.world.ask(
            client, lambda m: isinstance(m, p.Refusal), p.encode(message), b"", b""
        )
        assert isinstance(answer, p.Refusal)
        assert "may not send" in answer.reason
        self.world.marker(client)

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), frames=st.lists(st.binary(max_size=64), min_size=1))
    def garbage(self, number: int, frames: list[bytes]) -> None:
        client = self.pick(number)
        before = self.world.server.stats().garbage
        client.dealer.socket.send_multipart(frames)
        self.world.marker(client)
        assert self.world.server.stats().garbage == before + 1

    @precondition(lambda self: self.world.clients)
    @rule(number=st.integers(0, CLIENTS - 1), bit=st.integers(0, 1 << 16))
    def damaged_hello(self, number: int, bit: int) -> None:
        """Whatever it would say now: an actor, an epoch, a place that are none."""
        client = self.pick(number)
        before = self.world.server.stats().garbage
        head = bytearray(self.world.hello(client))
        head[bit // 8 % len(head)] ^= 1 << bit % 8
        client.dealer.send(bytes(head))
        self.world.marker(client)
        assert self.world.server.stats().garbage == before + 1

    @rule()
    def restart_of_ingest(self) -> None:
        self.world.restart()
        for client in self.world.clients:
            self.world.marker(client)

    @invariant()
    def log_is_what_was_acknowledged(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.lives.append(Life("fresh", 1))
            client = self.world.connect(self.world.lives[-1])
            self.world.greet(client)
            self.world.data(client, 0, records("fresh", 1, 0, 7))
            self.world.check()
        finally:
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.rmtree(self.sockets, ignore_errors=True)


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        database=None,
        phases=[Phase.generate],  # shrinking would wait for answers that do not come
    )


def test_any_order_of_good_and_bad_leaves_the_log_right() -> None:
    run_state_machine_as_test(Session, settings=_settings(12, 30))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_orders_of_good_and_bad_leave_the_log_right() -> None:
    run_state_machine_as_test(Session, settings=_settings(150, 50))


def test_the_machine_sees_a_planted_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ingest that acknowledges what it has not appended."""
    append = LogCommitter._append

    def forgetful(self: LogCommitter, book: LifeBook, header: ChunkHeader, payload: bytes) -> None:
        if header.count < 4:
            append(self, book, header, payload)
        else:
            book.next_sequence += header.count

    monkeypatch.setattr(LogCommitter, "_append", forgetful)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Session, settings=_settings(12, 30))
