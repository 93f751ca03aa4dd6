"""Hosts with keys, an ingest process that asks for them, and clients of one's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import zmq

from robot_rl.testing.wire_harness import (
    WireHarness,
    random_observation,
    wait_for,
    write_episode,
)
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.chunk import ChunkKind, make_header, pack_header
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import ClientKeys, KeyFolder
from robot_rl.wire.record import new_record, record_dtype, write_start

"""1 s is the aim; a slow machine gets more before a test fails."""


class Hosts:
    """A learner's host with its keys, and robots' and strangers' hosts with theirs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.learner = self.host("learner")
        self.server = self.learner.make("learner", Role.SERVER)

    def host(self, name: str) -> KeyFolder:
        return KeyFolder(self.root / f"keys-{name}")

    def client(self, name: str, role: Role, *, listed: bool = True) -> KeyFolder:
        """A host with a key of its own, and the learner's public one; `listed`: and vice versa."""
        folder = self.host(name)
        folder.make(name, role)
        carry(self.learner, folder, "learner")
        if listed:
            carry(folder, self.learner, name)
        return folder


def carry(source: KeyFolder, target: KeyFolder, name: str) -> None:
    """What scp does."""
    (target.path / f"{name}.key").write_bytes((source.path / f"{name}.key").read_bytes())


def serve(wire: WireHarness, keys: KeyFolder | None, **changes: object) -> subprocess.Popen[bytes]:
    """Ingest with this folder; the harness then knows the port."""
    process = wire.start_ingest(keys=str(keys.path) if keys else "", **changes)
    ready = wire.output("ingest").rsplit("READY ", 1)[1].split()
    wire.addresses = (ready[0], ready[1])
    return process


def recording(wire: WireHarness, keys: KeyFolder, name: str = "a", steps: int = 20) -> ActorLink:
    """An actor with keys that ingest knows by now: its first episode is in the log."""
    wire.start_io(name, keys=str(keys.path))
    link = wire.link(name, 1)
    write_episode(link, wire.spec, np.random.default_rng(0), steps)
    assert len(wire.wait_logged(name, 1, steps + 1)) == steps + 1
    return link


def named(wire: WireHarness, name: str, text: str) -> None:
    """Waits until a process has said `text`."""
    wait_for(f"'{text}' from {name}", lambda: text in wire.output(name))


def nothing_came_in(wire: WireHarness) -> None:
    stats = wire.learner().wait_connected(20)
    assert (stats.records, stats.garbage, stats.refused, stats.actors) == (0, 0, 0, [])
    assert len(wire.logged("a", 1)) == 0


def raw_messages(wire: WireHarness) -> list[list[bytes]]:
    """A Hello and a good chunk, as an actor would send them."""
    spec = wire.spec
    hello = handshake.hello("a", 1, 7, 0, spec.to_json(), spec.sha256())
    record = new_record(record_dtype(spec))
    obs = random_observation(spec, np.random.default_rng(0))
    write_start(record, obs, episode=0, stamp_ns=0, boot_id=1, sequence=0)
    payload = record.tobytes()
    header = make_header(
        ChunkKind.RECORDS, payload, actor="a", epoch=1, first_sequence=0, count=1,
        record_bytes=len(payload),
    )  # fmt: skip
    return [[p.encode(hello), b"", b""], [p.DATA_HEAD, pack_header(header), payload]]


def raw_keyed(context: zmq.Context, address: str, keys: ClientKeys) -> zmq.Socket:
    socket: zmq.Socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.RCVTIMEO, 60_000)
    socket.setsockopt(zmq.ROUTING_ID, b"same")
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server.public.encode())
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.own.key.public.encode())
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret)
    socket.connect(address)
    return socket
