"""What the wire refuses or quarantines: each says why, and the rest goes on."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.testing.wire_harness import (
    WireHarness,
    random_observation,
    random_transition,
    wait_for,
    write_episode,
)
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.mailbox import LinkStatus
from robot_rl.wire.process import IOConfig
from robot_rl.wire.sockets import Dealer


def test_poisoned_record_is_quarantined_and_reported(wire: WireHarness) -> None:
    wire.start_ingest()
    wire.start_io("a")
    learner = wire.learner()
    link = wire.link("a", 1)
    rng = np.random.default_rng(0)
    obs = random_observation(wire.spec, rng)
    link.start(obs, 0, 0, 1)
    for step in range(1, 51):
        transition = random_transition(wire.spec, rng, obs, step=step)
        link.step(replace(transition, reward=float("nan")) if step == 20 else transition)
    logged = wire.wait_logged("a", 1, 50)
    assert 20 not in logged["sequence"]
    assert len(logged) == 50
    wait_for("the count", lambda: (s := learner.stats()) is not None and s.quarantined == 1)
    text = wire.output("ingest")
    assert "WARN quarantined record 20 of actor 'a'" in text
    (kept,) = wire.log_dir.glob("quarantine.chunks")
    assert f"it is in {kept}, not in the log" in text
    assert "reward" in text


def test_poisoned_weights_leave_the_last_good_ones(wire: WireHarness) -> None:
    from robot_rl.errors import PoisonedDataError
    from robot_rl.wire import protocol as p
    from robot_rl.wire.weights import FlatWeights

    wire.start_ingest()
    wire.start_io("a")
    learner = wire.learner()
    learner.publish({"w": np.ones(3, "f4")}, 1)
    with pytest.raises(PoisonedDataError, match="'w' is not finite"):
        learner.publish({"w": np.array([1, np.nan, 1], "f4")}, 2)
    flat = FlatWeights.pack({"w": np.ones(3, "f4")}, 3)
    data = np.array([1, np.inf, 1], "<f4").tobytes()
    from crc32c import crc32c

    head, _ = FlatWeights(3, flat.table, data, crc32c(data)).part(0, 100)
    rogue = Dealer(wire.addresses[1])
    rogue.send(p.encode(head), b"", data)
    link = wire.link("a", 1)
    wait_for("the refusal", lambda: "not finite" in wire.output("ingest"))
    wait_for("the good weights", lambda: link.published_version == 1)
    rogue.close()


def test_another_specification_is_refused_with_the_differences(wire: WireHarness) -> None:
    wire.start_ingest()
    process = wire.start_io("a")
    wire.spec = replace(wire.spec, rate_hz=20.0)
    link = wire.link("a", 1)
    assert process.wait(60) == 2
    assert "rate_hz: 10.0 != 20.0" in wire.output("io-a")
    assert link.status in (LinkStatus.REFUSED, LinkStatus.ENDED)
    assert "rate_hz" in link.refusal()


def test_another_protocol_version_is_refused(wire: WireHarness) -> None:
    wire.start_ingest()
    peer = Dealer(wire.addresses[0])
    spec = wire.spec.to_json()
    newer = p.Hello("robot-rl", handshake.PROTOCOL + 1, "a", 1, 1, 0, wire.spec.sha256(), spec)
    peer.send(p.encode(newer))
    answers: list[p.Message] = []

    def answered() -> bool:
        if (message := peer.receive()) is not None:
            answers.append(p.decode(message.head))
        return bool(answers)

    wait_for("the refusal", answered)
    peer.close()
    assert isinstance(answers[0], p.Refusal)
    assert not answers[0].retry
    assert (
        f"speaks wire protocol {handshake.PROTOCOL + 1}, this side {handshake.PROTOCOL}"
        in answers[0].reason
    )


def test_garbage_is_counted_and_the_server_goes_on(wire: WireHarness) -> None:
    import zmq

    wire.start_ingest()
    context = zmq.Context()
    rng = np.random.default_rng(0)
    try:
        for address in wire.addresses:
            rogue = context.socket(zmq.DEALER)
            rogue.setsockopt(zmq.LINGER, 1000)
            rogue.connect(address)
            for _ in range(50):
                count = int(rng.integers(1, 9))
                rogue.send_multipart([rng.bytes(int(rng.integers(0, 99))) for _ in range(count)])
            rogue.send_multipart([b"\x91\xa4data", b"", b""])
            rogue.send_multipart([b"\x81\xa4type\xa4data", b"x" * 92, b"y" * 1000])
            rogue.send(b"")
            rogue.close()
    finally:
        context.term()
    learner = wire.learner()
    wait_for("the count", lambda: (s := learner.stats()) is not None and s.garbage > 90)
    wire.start_io("a")
    link = wire.link("a", 1)
    write_episode(link, wire.spec, np.random.default_rng(0), 100)
    assert len(wire.wait_logged("a", 1, 101)) == 101
    assert "WARN ingest: garbage" in wire.output("ingest")


def test_addresses_and_log_in_use_are_errors(wire: WireHarness) -> None:
    wire.start_ingest()
    second = wire.start_ingest(wait=False)
    assert second.wait(60) == 2
    assert "ERROR address ipc://" in wire.output("ingest")
    assert "is in use by process" in wire.output("ingest")
    wire.start_io("a")
    wait_for("the spool", lambda: (wire.folder / "spool/a/lock").exists())
    other = wire.start_io("a")
    assert other.wait(60) == 2
    assert "spool/a is in use by process" in wire.output("io-a")


def test_two_actors_with_one_id_on_two_hosts(wire: WireHarness, tmp_path: Path) -> None:
    """Two I/O processes with spools of their own: the second waits, and says so."""
    wire.start_ingest()
    wire.start_io("a")
    first = wire.link("a", 1)
    wait_for("the first", lambda: first.status is LinkStatus.CONNECTED)
    with WireHarness(tmp_path) as elsewhere:
        elsewhere.addresses = wire.addresses
        elsewhere.start_io("b")
        config = IOConfig("a", wire.addresses[0], str(elsewhere.runtime), str(tmp_path / "other"))
        from robot_rl.runtime import io

        elsewhere.start(io.command(config), "io-other")
        second = elsewhere.link("a", 2)
        wait_for("the refusal", lambda: "in use by another I/O process" in second._mailbox.text)
        write_episode(first, wire.spec, np.random.default_rng(0), 30)
        assert len(wire.wait_logged("a", 1, 31)) == 31


def test_one_actor_too_many_is_refused_and_those_that_are_known_go_on(wire: WireHarness) -> None:
    """Its records would end the learner, whose replay has a ring for each actor."""
    wire.start_ingest(actors=1)
    for actor in ("left", "right"):
        wire.start_io(actor)
    first, rng = wire.link("left", 1), np.random.default_rng(0)
    write_episode(first, wire.spec, rng, 3)
    wire.wait_logged("left", 1, 4)
    second = wire.link("right", 1)
    wait_for("the refusal", lambda: "one too many" in second.refusal())
    assert "room for 1 (left); valid: one of these ids, or actors=2" in second.refusal()
    first.close()
    again = wire.link("left", 2)
    write_episode(again, wire.spec, rng, 3)
    wire.wait_logged("left", 2, 4)


def test_port_in_use_ends_ingest_with_a_readable_line(wire: WireHarness) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        wire.addresses = (f"tcp://127.0.0.1:{holder.getsockname()[1]}", wire.addresses[1])
        process = wire.start_ingest(wait=False)
        assert process.wait(60) == 2
    assert "ERROR address tcp://127.0.0.1:" in wire.output("ingest")
    assert "is in use by another process" in wire.output("ingest")
    assert not wire.log_dir.exists(), "nothing was made"


def test_address_off_loopback_ends_both_with_a_readable_line(wire: WireHarness) -> None:
    wire.addresses = ("tcp://0.0.0.0:5999", wire.addresses[1])
    assert wire.start_ingest(wait=False).wait(60) == 2
    assert wire.start_io("a").wait(60) == 2
    for name in ("ingest", "io-a"):
        assert "ERROR address 'tcp://0.0.0.0:5999' is not on this host" in wire.output(name)


def test_a_connection_that_leads_back_to_itself_is_let_go(wire: WireHarness) -> None:
    """As TCP makes one where nobody listens; here a mirror, so that it comes each time."""
    with socket.create_server(("127.0.0.1", 0)) as mirror:
        wire.addresses = (f"tcp://127.0.0.1:{mirror.getsockname()[1]}", wire.addresses[1])
        threading.Thread(target=reflect, args=(mirror,), daemon=True).start()
        wire.start_io("a")
        link = wire.link("a", 1)
        wait_for("the reason", lambda: "led back to this process" in link.trouble())
        mirror.shutdown(socket.SHUT_RDWR)
    wire.start_ingest()
    write_episode(link, wire.spec, np.random.default_rng(0), 30)
    assert len(wire.wait_logged("a", 1, 31)) == 31


def reflect(mirror: socket.socket) -> None:
    """Sends back what comes, one connection after the other, until `mirror` is shut down."""
    with suppress(OSError):
        while True:
            connection, _ = mirror.accept()
            with connection, suppress(ConnectionError):
                while data := connection.recv(65_536):
                    connection.sendall(data)
