"""What both ends of the wire share: options, frames and their limits, the monitor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import zmq

from robot_rl.wire.monitor import Monitor
from robot_rl.wire.protocol import MAX_EXTRA, MAX_FRAME, MAX_HEAD

FRAMES = 3
COPY_BELOW = 16_384
"""Bytes under which copying a frame costs less than sharing it."""
HANDSHAKE_MS = 2_000
"""A connection that has not shaken hands by then is closed: a stranger's bytes lie in memory so
long, at most, so what strangers can make this end hold is their bandwidth times this."""
NOW = int(zmq.NOBLOCK)
MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)  # plain integers: an enum costs more than the send
Body: TypeAlias = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Received:
    """One message."""

    peer: bytes
    """Routing id on this connection (ROUTER), b"" (DEALER)."""
    head: bytes
    extra: bytes
    body: Body
    user: str = ""
    """Public key of the sender, proven by its connection; "" without keys."""


def prepare(socket: zmq.Socket, queue: int) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    socket.setsockopt(zmq.SNDHWM, queue)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 10_000)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 100)


class ThreeFrames:
    """A socket of three-frame messages."""

    def __init__(self, kind: int, queue: int, context: zmq.Context | None = None) -> None:
        self.socket: zmq.Socket = (context or zmq.Context.instance()).socket(kind)
        self.garbage = 0
        """Messages with a wrong number of frames, or a head or extra too large."""
        prepare(self.socket, queue)
        self.monitor = Monitor(self.socket)

    def rest(self) -> list[Body]:
        """The further frames of the message whose first was just read; at most FRAMES + 1."""
        frames: list[Body] = []
        socket = self.socket
        extra = 0
        while socket.getsockopt(zmq.RCVMORE):
            large = len(frames) == FRAMES - 1 and extra
            if large:
                frames.append(socket.recv(NOW, copy=False).buffer)
            else:
                frame = socket.recv(NOW)
                extra = len(frame)
                if len(frames) <= FRAMES:
                    frames.append(frame)
        return frames

    def send_frames(self, head: bytes, extra: bytes, body: Body) -> None:
        """A queue that takes the first frame takes the rest: ZeroMQ counts whole messages in."""
        send = self.socket.send
        send(head, MORE)
        send(extra, MORE)
        send(body, NOW, copy=len(body) < COPY_BELOW)

    def close(self) -> None:
        """Frees the socket; unsent messages are dropped (they are in the spool). Twice is fine."""
        if not self.socket.closed:
            self.monitor.close()
            self.socket.close(0)


def message_of(peer: bytes, head: bytes, frames: Sequence[Body], user: str = "") -> Received | None:
    """None of what is no message: the number of frames, or the size of the first two."""
    if len(frames) != FRAMES - 1 or len(head) > MAX_HEAD or len(frames[0]) > MAX_EXTRA:
        return None
    return Received(peer, head, bytes(frames[0]), frames[1], user)
