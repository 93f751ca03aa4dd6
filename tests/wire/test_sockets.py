"""Addresses and sockets: what may be bound, what is in use, what is garbage."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import zmq

from robot_rl.errors import InUseError, WireError
from robot_rl.wire.addresses import parse_address, private_directory, runtime_directory
from robot_rl.wire.sockets import Dealer, Received, Router, Waiter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return private_directory(tmp_path / "run")


@pytest.mark.parametrize(
    "text", ["tcp://127.0.0.1:5555", "tcp://localhost:5555", "tcp://[::1]:5555", "ipc:///tmp/x"]
)
def test_loopback_is_allowed(text: str) -> None:
    assert parse_address(text).loopback


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "192.168.1.5", "example.org", "[::]"])
def test_other_addresses_are_refused_unless_insecure(host: str) -> None:
    with pytest.raises(WireError, match=r"not on this host.*--insecure"):
        parse_address(f"tcp://{host}:5555")
    assert not parse_address(f"tcp://{host}:5555", insecure=True).loopback


def test_insecure_is_printed_at_each_start(capsys) -> None:
    for _ in range(2):
        Router("tcp://0.0.0.0:*", insecure=True).close()
    assert capsys.readouterr().err.count("WARNING: tcp://0.0.0.0:* is open, unauthenticated") == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1:5555", "valid: ipc:///path"),
        ("udp://127.0.0.1:5", "valid: ipc:///path"),
        ("tcp://127.0.0.1:", "port"),
        ("tcp://127.0.0.1:99999", "port '99999'"),
        ("ipc://relative", "must be absolute"),
        ("ipc:///" + "x" * 110, "111 bytes of path; at most 107"),
    ],
)
def test_malformed_addresses_say_what_is_valid(text: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        parse_address(text)


def test_longest_ipc_path_can_be_bound(folder: Path) -> None:
    name = "x" * (107 - len(str(folder)) - 1)
    Router(f"ipc://{folder}/{name}").close()


def test_ipc_in_use_is_an_error_and_is_not_stolen(folder: Path) -> None:
    address = f"ipc://{folder}/a"
    first = Router(address)
    with pytest.raises(InUseError, match="is in use by process"):
        Router(address)
    peer = Dealer(address)
    peer.send(b"head", b"extra", b"body")
    assert received(first).head == b"head"
    first.close()
    Router(address).close()
    peer.close()


def test_port_in_use_is_an_error() -> None:
    first = Router("tcp://127.0.0.1:*")
    with pytest.raises(InUseError, match="in use by another process"):
        Router(first.address)
    first.close()


def test_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    with pytest.raises(WireError, match="mode 0700"):
        Router(f"ipc://{shared}/a")
    with pytest.raises(WireError, match="run name"):
        runtime_directory("../evil")
    made = runtime_directory("run-1", tmp_path / "root")
    assert made.stat().st_mode & 0o777 == 0o700


def received(socket: Router | Dealer) -> Received:
    waiter = Waiter([socket])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        waiter.wait(100)
        if (message := socket.receive()) is not None:
            return message
    raise WireError("nothing came")


@pytest.mark.parametrize("size", [0, 10, 20_000, 1_000_000])
def test_messages_of_every_size_both_ways(folder: Path, size: int) -> None:
    router = Router(f"ipc://{folder}/a")
    dealer = Dealer(f"ipc://{folder}/a")
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert dealer.send(b"h", b"e", body)
    message = received(router)
    assert (message.head, message.extra, bytes(message.body)) == (b"h", b"e", body)
    assert router.send(message.peer, b"H", b"E", body)
    answer = received(dealer)
    assert (answer.head, answer.extra, bytes(answer.body)) == (b"H", b"E", body)
    dealer.close()
    router.close()


def test_wrong_numbers_of_frames_are_counted_and_skipped(folder: Path) -> None:
    router = Router(f"ipc://{folder}/a")
    raw = zmq.Context.instance().socket(zmq.DEALER)
    raw.connect(f"ipc://{folder}/a")
    for frames in (1, 2, 4, 5, 50, 3):
        raw.send_multipart([b"f"] * frames)
    assert received(router).head == b"f"
    assert router.garbage == 5
    raw.close(0)
    router.close()


def test_oversized_frame_never_arrives(folder: Path, monkeypatch) -> None:
    from robot_rl.wire import socket_base

    monkeypatch.setattr(socket_base, "MAX_FRAME", 10_000)
    router = Router(f"ipc://{folder}/a")
    raw = zmq.Context.instance().socket(zmq.DEALER)
    raw.connect(f"ipc://{folder}/a")
    raw.send_multipart([b"h", b"e", b"x" * 10_001])
    assert not Waiter([router]).wait(300)
    good = Dealer(f"ipc://{folder}/a")
    good.send(b"h", b"e", b"x" * 10_000)
    assert len(received(router).body) == 10_000
    raw.close(0)
    good.close()
    router.close()


def test_messages_to_a_peer_that_is_gone_are_dropped(folder: Path) -> None:
    router = Router(f"ipc://{folder}/a")
    assert router.send(b"nobody", b"h") in (True, False)
    router.close()
