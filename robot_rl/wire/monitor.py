"""What ZeroMQ's socket monitor knows and send() never says: why a handshake failed.

With a wrong key `send` raises nothing and nothing arrives. The monitor shows it within milliseconds
which of the two sides refused, and here that becomes a line with a remedy.
"""

from __future__ import annotations

import itertools
import struct
import time
from dataclasses import dataclass

import zmq

_FAILED = (
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    | int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    | int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
)
_MASK = _FAILED | int(zmq.EVENT_HANDSHAKE_SUCCEEDED) | int(zmq.EVENT_CONNECTED)
_EVENT = struct.Struct("=Hi")
_NUMBERS = itertools.count()
LOOK_S = 0.005
"""Between two looks: a look at nothing costs as much as a small message."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the monitor."""

    kind: int
    value: int

    @property
    def mismatch(self) -> bool:
        """One side uses keys, the other does not."""
        return (
            self.kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            and self.value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
        )


class Monitor:
    """Events of one socket; never blocks, and never lets the I/O thread wait for its reader."""

    def __init__(self, socket: zmq.Socket) -> None:
        """Before connect or bind."""
        address = f"inproc://robot-rl-monitor-{next(_NUMBERS)}"
        self._watched = socket
        socket.monitor(address, _MASK)
        self._pair: zmq.Socket = socket.context.socket(zmq.PAIR)
        self._pair.setsockopt(zmq.LINGER, 0)
        self._pair.setsockopt(zmq.RCVHWM, 0)
        self._pair.connect(address)
        self._next = 0.0

    def events(self) -> list[Event]:
        """What happened since the last call, oldest first; looked up every LOOK_S at most."""
        found: list[Event] = []
        now = time.monotonic()
        if now < self._next:
            return found
        self._next = now + LOOK_S
        while True:
            try:
                frames = self._pair.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return found
            found.append(Event(*_EVENT.unpack(frames[0][: _EVENT.size])))

    def close(self) -> None:
        """Before the watched socket closes."""
        self._watched.monitor(None, 0)
        self._pair.close(0)


@dataclass(slots=True)
class Trouble:
    """Why a connecting socket has no connection, as far as its monitor knows."""

    address: str
    key: str = ""
    """Name and public part of the own key; "" without keys."""
    server: str = ""
    """Name and public part of the server's key as it is known here."""
    text: str = ""
    final: bool = False
    """The other side said no: trying again is useless."""
    closed: int = 0
    """Handshakes in a row that the other side ended without a word."""
    connected: bool = False
    """Something accepted the connection."""
    stranger: bool = False
    """It uses keys, but not the one known here."""
    open: bool = False
    """InterventionState were shaken, once."""

    def take(self, event: Event) -> None:
        """One more event."""
        if event.kind == zmq.EVENT_CONNECTED:
            self.connected = True
        elif event.kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.text, self.final, self.stranger = "", False, False
            self.closed, self.open = 0, True
        elif event.kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self.final = event.value == 400
            self.text = (
                f"{self.address} refused {self.key}: it is unknown there, or revoked; on that "
                "host, `robot-rl keys list` shows what may connect"
            )
        elif event.mismatch:
            self._mismatch()
        elif event.kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self.text = f"{self.address} broke the handshake (code {event.value:#x})"
        else:
            self.closed += 1
            if self.stranger:
                return
            self.text = f"{self.address} closed the connection during the handshake: " + (
                f"it does not hold {self.server}, or nobody serves there"
                if self.key
                else "nobody serves there, or it needs a key (wire.keys)"
            )

    def learn(self, security: str) -> None:
        """What the other side offers (see probe.py), after it closed a connection without a word.

        Both use keys: then it could not read what was encrypted for the server key known here.
        """
        if security == ("NULL" if self.key else "CURVE"):
            self._mismatch()
        elif self.key and security == "CURVE":
            self.stranger = True
            self.text = f"{self.address} does not hold {self.server}: another server, or a new key"

    def _mismatch(self) -> None:
        self.final = True
        self.text = f"{self.address} " + (
            "uses no keys, and this side does; valid: wire.keys on both sides"
            if self.key
            else "needs a key, and this side has none; valid: wire.keys=default with a key that "
            "is listed there (robot-rl keys --help)"
        )


def complaint(event: Event, *, keyed: bool) -> str:
    """What the bound side says of a handshake that failed, "" of one that did not."""
    if not event.kind & _FAILED or event.kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return ""  # the ZAP handler says who was denied, and why
    if event.kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and not event.mismatch:
        if event.value == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
            return (
                "connection denied: the peer expects another server key than this one, or its "
                "secret does not fit its public key"
            )
        return f"connection denied: the peer broke the handshake (code {event.value:#x})"
    return "connection denied: the peer left during the handshake, " + (
        "as one without a key does" if keyed else "as one with a key does; this side has none"
    )
