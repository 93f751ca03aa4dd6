"""The only place that touches ZeroMQ: a DEALER and a ROUTER of three-frame messages.

Options are set before connect and bind (set later, most have no effect). Every frame is limited;
a message with another number of frames is garbage, counted and dropped. Nothing here blocks but
`wait`. The ROUTER drops what a peer's full queue cannot take: whatever is sent to an actor is
cumulative or asked for again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import zmq

from robot_rl.errors import InUseError, WireError
from robot_rl.wire.addresses import insecure_warning, parse_address, private_directory
from robot_rl.wire.locks import FileLock
from robot_rl.wire.protocol import MAX_FRAME

FRAMES = 3
COPY_BELOW = 16_384
"""Bytes under which copying a frame costs less than sharing it."""
_NOW = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)  # plain integers: an enum costs more than the send
Body: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Received:
    """One message."""

    peer: bytes
    """Routing id on this connection (ROUTER), b"" (DEALER)."""
    head: bytes
    extra: bytes
    body: Body


def _prepare(socket: zmq.Socket, queue: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    socket.setsockopt(zmq.SNDHWM, queue)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 10_000)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)


class _Socket:
    """What both ends share."""

    def __init__(self, kind: int, queue: int) -> None:
        self.socket: zmq.Socket = zmq.Context.instance().socket(kind)
        self.garbage = 0
        """Messages with a wrong number of frames."""
        _prepare(self.socket, queue)

    def _rest(self) -> list[Body]:
        """The further frames of the message whose first was just read; at most FRAMES + 1."""
        frames: list[Body] = []
        socket = self.socket
        extra = 0
        while socket.getsockopt(zmq.RCVMORE):
            large = len(frames) == FRAMES - 1 and extra
            if large:
                frames.append(socket.recv(_NOW, copy=False).buffer)
            else:
                frame = socket.recv(_NOW)
                extra = len(frame)
                if len(frames) <= FRAMES:
                    frames.append(frame)
        return frames

    def _send(self, head: bytes, extra: bytes, body: Body) -> None:
        """A queue that takes the first frame takes the rest: ZeroMQ counts whole messages in."""
        send = self.socket.send
        send(head, _MORE)
        send(extra, _MORE)
        send(body, _NOW, copy=len(body) < COPY_BELOW)

    def close(self) -> None:
        """Frees the socket; unsent messages are dropped (they are in the spool)."""
        self.socket.close(0)


class Dealer(_Socket):
    """The connecting end: `dealer.send(head, extra, body)`, `dealer.receive()`; never blocks."""

    def __init__(self, address: str, *, insecure: bool = False, queue: int = 4096) -> None:
        """Connects (whether anyone listens yet or not); WireError on an address not allowed."""
        where = parse_address(address, insecure=insecure)
        if warning := insecure_warning(where):
            print(warning, file=sys.stderr, flush=True)
        super().__init__(zmq.DEALER, queue)
        self.socket.connect(where.text)

    def send(self, head: bytes, extra: bytes = b"", body: Body = b"") -> bool:
        """False when the queue is full."""
        try:
            self._send(head, extra, body)
        except zmq.Again:
            return False
        return True

    def receive(self) -> Received | None:
        """The next message, or None."""
        while True:
            try:
                head = self.socket.recv(_NOW)
            except zmq.Again:
                return None
            frames = self._rest()
            if len(frames) == FRAMES - 1:
                return Received(b"", head, bytes(frames[0]), frames[1])
            self.garbage += 1


class Router(_Socket):
    """The bound end: `router.receive()` gives messages with the peer to `send` answers to."""

    def __init__(self, address: str, *, insecure: bool = False, queue: int = 4096) -> None:
        """Binds; InUseError if another process holds the address, never stealing it."""
        where = parse_address(address, insecure=insecure)
        self._lock: FileLock | None = None
        if where.path is not None:
            private_directory(where.path.parent)
            lock = where.path.with_name(where.path.name + ".lock")
            self._lock = FileLock(lock, f"address {address}")
        if warning := insecure_warning(where):
            print(warning, file=sys.stderr, flush=True)
        super().__init__(zmq.ROUTER, queue)
        try:
            self.socket.bind(where.text)
        except zmq.ZMQError as error:
            self.close()
            if error.errno == zmq.EADDRINUSE:
                raise InUseError(
                    f"address {address} is in use by another process; stop it or choose another"
                ) from error
            raise WireError(f"cannot bind {address}: {error}") from error
        self.address = bytes(self.socket.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
        """Where it listens, a chosen port included."""

    def send(self, peer: bytes, head: bytes, extra: bytes = b"", body: Body = b"") -> bool:
        """False when nothing could be sent; a peer that is gone or full loses the message."""
        try:
            self.socket.send(peer, _MORE)
            self._send(head, extra, body)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def receive(self) -> Received | None:
        """The next message, or None."""
        while True:
            try:
                peer = self.socket.recv(_NOW)
            except zmq.Again:
                return None
            if not self.socket.getsockopt(zmq.RCVMORE):
                self.garbage += 1
                continue
            head = self.socket.recv(_NOW)
            frames = self._rest()
            if len(frames) == FRAMES - 1:
                return Received(peer, head, bytes(frames[0]), frames[1])
            self.garbage += 1

    def close(self) -> None:
        super().close()
        if self._lock is not None:
            self._lock.release()


class Waiter:
    """Waits for messages on sockets, or for bytes on plain descriptors."""

    def __init__(self, sockets: Sequence[Dealer | Router], descriptors: Sequence[int] = ()) -> None:
        self._poller = zmq.Poller()
        for socket in sockets:
            self._poller.register(socket.socket, zmq.POLLIN)
        for descriptor in descriptors:
            self._poller.register(descriptor, zmq.POLLIN)

    def wait(self, timeout_ms: int) -> bool:
        """True when something has arrived within `timeout_ms`."""
        return bool(self._poller.poll(timeout_ms))
