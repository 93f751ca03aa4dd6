"""Nobody without a key gets a message in, and both sides say why, with real sockets and processes.

A named error on both sides, and no message of a stranger's in the log or the counts. How long that
takes is measured by `tests/benchmarks/speeds.py fleet`.
"""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import zmq
from keyed_wire import Hosts, carry, named, nothing_came_in, raw_keyed, raw_messages, serve

from robot_rl.testing.wire_harness import WireHarness, wait_for, write_episode
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.mailbox import LinkStatus


def denied(wire: WireHarness, keys: KeyFolder | None, actor_says: str, ingest_says: str) -> None:
    """An I/O process with these keys ends with a named error, and ingest names it too."""
    link = wire.link("a", 1)
    write_episode(link, wire.spec, np.random.default_rng(0), 10)
    process = wire.start_io("a", keys=str(keys.path) if keys else "")
    wait_for("the I/O process to end", lambda: process.poll() is not None)
    assert process.returncode == 2
    last = wire.output("io-a").strip().splitlines()[-1]
    assert last.startswith("ERROR ")
    assert actor_says in last
    named(wire, "ingest", ingest_says)
    assert link.status is LinkStatus.REFUSED
    assert actor_says in link.refusal()
    nothing_came_in(wire)


def test_unknown_key(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR, listed=False)
    serve(wire, hosts.learner)
    public = robot.read("arm").public
    denied(wire, robot, f"refused key 'arm' ({public})", f"key {public} is unknown")


def test_revoked_key(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    hosts.learner.revoke("arm")
    serve(wire, hosts.learner)
    denied(wire, robot, "refused key 'arm'", "key 'arm' is revoked since")


def test_another_servers_key(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    other = hosts.host("impostor")
    other.make("learner", Role.SERVER)
    carry(robot, other, "arm")
    serve(wire, other)
    denied(
        wire,
        robot,
        "does not hold the secret of server key 'learner'",
        "the peer expects another server key than this one",
    )


def test_client_without_keys_at_an_address_with(wire: WireHarness, hosts: Hosts) -> None:
    hosts.client("arm", Role.ACTOR)
    serve(wire, hosts.learner)
    denied(wire, None, "needs a key, and this side has none", "as one without a key does")


def test_client_with_keys_at_an_address_without(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    serve(wire, None)
    denied(wire, robot, "uses no keys, and this side does", "this side has none")


def raw_client(wire: WireHarness, context: zmq.Context, curve: tuple[bytes, ...] | None) -> None:
    """A stranger's own client sends all it likes for a second, and hears nothing."""
    rogue = context.socket(zmq.DEALER)
    rogue.setsockopt(zmq.LINGER, 0)
    if curve is not None:
        rogue.curve_serverkey, rogue.curve_publickey, rogue.curve_secretkey = curve
    rogue.connect(wire.addresses[0])
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        for message in raw_messages(wire):
            try:
                rogue.send_multipart(message, zmq.NOBLOCK)
            except zmq.Again:
                time.sleep(0.01)
        assert not rogue.poll(1)
    rogue.close(0)


def test_raw_clients_get_no_message_in_and_none_out(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    serve(wire, hosts.learner)
    server = hosts.server.public.encode()
    public = robot.read("arm").public.encode()
    with zmq.Context() as context:
        raw_client(wire, context, None)
        raw_client(wire, context, (server, *zmq.curve_keypair()))
        raw_client(wire, context, (server, public, zmq.curve_keypair()[1]))
        raw_client(wire, context, (zmq.curve_keypair()[0], *zmq.curve_keypair()))
    nothing_came_in(wire)
    assert wire.learner().wait_connected(60).denied >= 4
    wire.start_io("a", keys=str(robot.path))
    link = wire.link("a", 1)
    write_episode(link, wire.spec, np.random.default_rng(0), 50)
    assert len(wire.wait_logged("a", 1, 51)) == 51, "the server still serves"


@pytest.mark.parametrize("listens", [True, False])
def test_silence_is_said_and_waited_out(tmp_path: Path, hosts: Hosts, listens: bool) -> None:
    """Something that takes the connection and says nothing, or nothing at all."""
    robot = hosts.client("arm", Role.ACTOR)
    with WireHarness(tmp_path) as wire, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        wire.addresses = (f"tcp://127.0.0.1:{silent.getsockname()[1]}", wire.addresses[1])
        process = wire.start_io("a", keys=str(robot.path))
        link = wire.link("a", 1)
        why = "takes the connection and says nothing" if listens else "is not there"
        wait_for("the reason", lambda: why in wire.output("io-a"))
        assert link.status is LinkStatus.DISCONNECTED
        assert process.poll() is None, "a learner may come later"
        write_episode(link, wire.spec, np.random.default_rng(0), 20)
        assert wire.output("io-a").count("WARN") == 1


def greeting(mechanism: bytes) -> bytes:
    """ZMTP 3.0's first 64 bytes of a client (RFC 23)."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def strangers_bytes(address: str, first: bytes, then: bytes, count: int) -> int:
    """Sends `first` and then `count` times `then`, as far as it is taken; gives what was."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    sent = 0
    with socket.create_connection((host, int(port)), 60) as peer:
        peer.sendall(first)
        peer.recv(64)
        try:
            for _ in range(count):
                peer.sendall(then)
                sent += len(then)
        except OSError:
            return sent
        peer.settimeout(60)  # closed by then
        try:
            while peer.recv(4096):
                pass
        except ConnectionError:
            pass
    return sent


def test_a_strangers_bytes_are_not_held(tmp_path: Path, hosts: Hosts) -> None:
    """Before a key is proven one frame is all there is room for, and soon not even that."""
    with WireHarness(tmp_path) as wire:
        wire.addresses = ("tcp://127.0.0.1:*", wire.addresses[1])
        process = serve(wire, hosts.learner)
        before = resident_mb(process)
        endless = b"\x03" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20)  # "more follows", always
        for mechanism in (b"NULL", b"PLAIN", b"XXX"):
            assert strangers_bytes(wire.addresses[0], greeting(mechanism), endless, 200) < 50 << 20
        assert resident_mb(process) < before + 50
        half = b"\x06" + (60 << 20).to_bytes(8, "big")  # a command of 60 MB, which never ends
        strangers_bytes(wire.addresses[0], greeting(b"CURVE") + half, bytes(1 << 20), 50)
        huge = b"\x06" + (65 << 20).to_bytes(8, "big")
        sent = strangers_bytes(wire.addresses[0], greeting(b"CURVE") + huge, bytes(1 << 20), 65)
        assert sent < 65 << 20, "more than a frame may have"
        wait_for("the memory back", lambda: resident_mb(process) < before + 20)
        nothing_came_in(wire)


@pytest.mark.parametrize("wrong", ["head", "extra", "more frames", "fewer frames"])
def test_messages_out_of_shape_are_garbage(wire: WireHarness, hosts: Hosts, wrong: str) -> None:
    """Each would be a message otherwise; it is dropped before anything reads it."""
    keys = hosts.client("arm", Role.ACTOR).client(Role.ACTOR)
    serve(wire, hosts.learner)
    hello, _ = raw_messages(wire)
    large = p.encode(handshake.hello("a", 1, 7, 0, bytes(2 << 20), "0"))
    frames = {
        "head": [large, b"", b""],
        "extra": [hello[0], bytes(2000), b""],
        "more frames": [*hello, b""],
        "fewer frames": hello[:2],
    }
    with zmq.Context() as context:
        peer = raw_keyed(context, wire.addresses[0], keys)
        peer.send_multipart(frames[wrong])
        peer.send_multipart([p.encode(p.Get(0, -1)), b"", b""])
        answer = p.decode(peer.recv_multipart()[0])
        assert answer == p.Refusal("say hello first", True), "not even the Hello was read"
        peer.close(0)
    stats = wire.learner().wait_connected(60)
    assert (stats.garbage, stats.refused) == (1, 0)
