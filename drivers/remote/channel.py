"""Requests to a driver process and answers: msgpack over a Unix socket in a private folder."""

from __future__ import annotations

import select
import socket
import struct
from typing import Generic, TypeVar

import msgspec

from robot_rl.errors import RobotFault

_LENGTH = struct.Struct("<I")
LONGEST = 64 << 20
"""Bytes of one message, at most (a camera's image)."""
Message = TypeVar("Message")


class Gone(RobotFault):
    """The other side of a channel has ended."""


class Channel(Generic[Message]):
    """Whole messages over a stream socket; one thread on each side.

    channel = Channel(sock, Request)
    if channel.readable(0.005): request = channel.receive()
    channel.send(answer)
    """

    def __init__(self, sock: socket.socket, kind: type[Message] | object) -> None:
        self._socket = sock
        self._decoder = msgspec.msgpack.Decoder(kind)

    def fileno(self) -> int:
        return self._socket.fileno()

    def readable(self, seconds: float) -> bool:
        """Whether something came, a message or the end, within `seconds`."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def send(self, message: msgspec.Struct) -> None:
        """Gone when the other side has ended."""
        body = msgspec.msgpack.encode(message)
        try:
            self._socket.sendall(_LENGTH.pack(len(body)) + body)
        except OSError as error:
            raise Gone(f"the other side of the driver's socket is gone ({error})") from error

    def receive(self) -> Message:
        """The next message; Gone at the end, on garbage and on what is too long."""
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if length > LONGEST:
            raise Gone(f"a message of {length} bytes; valid: at most {LONGEST}")
        try:
            message: Message = self._decoder.decode(self._exactly(length))
        except msgspec.MsgspecError as error:
            raise Gone(f"a message that is none: {error}") from error
        return message

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, count: int) -> bytes:
        parts, left = [], count
        while left:
            try:
                part = self._socket.recv(min(left, 1 << 20))
            except OSError as error:
                raise Gone(f"the driver's socket: {error}") from error
            if not part:
                raise Gone("the other side of the driver's socket has ended")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
