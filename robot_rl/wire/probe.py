"""Asks a ZMTP peer which security it offers, where a closed connection would leave that open.

When one side uses keys and the other does not, whichever notices first closes, and the other side's
monitor may know no more than that. The greeting (ZMTP 3.1, RFC 37) says it: 10 bytes of signature,
2 of version, 20 of mechanism. Ours stops before the mechanism, so there is nothing to refuse.
"""

from __future__ import annotations

import socket
import time

from robot_rl.wire.addresses import Address

_GREETING = b"\xff" + bytes(7) + b"\x01\x7f" + b"\x03\x01"
_MECHANISM = slice(12, 32)


def offered_security(address: Address, timeout_s: float = 0.3) -> str:
    """ "NULL", "CURVE", …; "" when nobody there speaks ZMTP within the time."""
    end = time.monotonic() + timeout_s
    greeting = b""
    try:
        with _connect(address, timeout_s) as peer:
            peer.sendall(_GREETING)
            while len(greeting) < _MECHANISM.stop and time.monotonic() < end:
                peer.settimeout(max(0.01, end - time.monotonic()))
                piece = peer.recv(64 - len(greeting))
                if not piece:
                    return ""
                greeting += piece
    except OSError:
        return ""
    if greeting[:1] != b"\xff" or len(greeting) < _MECHANISM.stop:
        return ""
    return greeting[_MECHANISM].rstrip(b"\0").decode("ascii", errors="replace")


def _connect(address: Address, timeout_s: float) -> socket.socket:
    if address.path is None:
        host, _, port = address.text.removeprefix("tcp://").rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout_s)
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.settimeout(timeout_s)
        peer.connect(str(address.path))
    except OSError:
        peer.close()
        raise
    return peer
