"""Who may connect: an allow-list that follows the key folder, and the ZAP handler that asks it.

ZAP (ZeroMQ RFC 27): the I/O thread asks on an inproc socket before a connection counts. The answer
attaches the public key as "User-Id" to every message of that connection, so a role cannot be
claimed, only held. Polled in the server's own loop: no thread, no wait.
"""

from __future__ import annotations

import time

import zmq
from zmq.utils import z85

from robot_rl.errors import WireError
from robot_rl.wire.key_files import Key, Role, read_key
from robot_rl.wire.keys import KeyFolder

DOMAIN = b"robot-rl"
LOOK_S = 0.2
"""Between two looks at the folder."""


class AllowList:
    """The keys that may connect: the public files of a folder, minus revoked and server keys.

    A file that cannot be read lets nobody in; a folder that cannot be read, neither.
    """

    def __init__(self, folder: KeyFolder) -> None:
        """WireError on the first file that is wrong."""
        self._folder = folder
        self._keys: dict[str, Key] = {}
        self._looked = time.monotonic()
        self._state: list[tuple[str, int, int, int]] | None = folder.stamps()
        if problems := self._load():
            raise WireError(problems[0])

    def find(self, public: str) -> Key | None:
        """The key of a connection, if it may be here now."""
        key = self._keys.get(public)
        return key if key is not None and not self.refusal(public) else None

    def refusal(self, public: str) -> str:
        """Why a public key may not connect, "" if it may."""
        key = self._keys.get(public)
        if key is None:
            return f"key {public} is unknown: no file in {self._folder.path} has it"
        if key.revoked:
            return f"key '{key.name}' is revoked since {key.revoked}"
        if key.role is Role.SERVER:
            return f"key '{key.name}' has role server; valid: actor, operator, viewer"
        return ""

    def look(self) -> list[str] | None:
        """None if nothing changed; else the list is new, and what was wrong with it is told."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return None
        self._looked = now
        try:
            state = self._folder.stamps()
        except WireError:
            state = None
        if state == self._state:
            return None
        self._state = state
        return self._load()

    def _load(self) -> list[str]:
        keys: dict[str, Key] = {}
        problems = []
        try:
            paths = self._folder.files()
        except WireError as error:
            self._keys = {}
            return [f"nobody may connect: {error}"]
        for path in paths:
            try:
                key = read_key(path)
            except WireError as error:
                problems.append(str(error))
                continue
            other = keys.get(key.public)
            if other is not None:
                problems.append(f"{path} holds the same key as {other.name}.key; valid: one file")
                key = other if other.revoked else key  # revoked under one name is revoked
            keys[key.public] = key
        self._keys = keys
        return problems


class ZapHandler:
    """Answers the requests of one context: `handler.tend()` in the loop that owns it."""

    def __init__(self, context: zmq.Context, allow: AllowList) -> None:
        self.allow = allow
        self.denied = 0
        self.socket: zmq.Socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind("inproc://zeromq.zap.01")

    def tend(self) -> list[str]:
        """Answers what was asked; one line for each connection that was denied."""
        lines: list[str] = []
        while True:
            try:
                request = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return lines
            refusal, user = self._judge(request)
            code, text = (b"400", b"refused") if refusal else (b"200", b"OK")
            self.socket.send_multipart([b"1.0", request[1], code, text, user, b""])
            if refusal:
                self.denied += 1
                address = request[3].decode(errors="replace")
                lines.append(f"connection denied{f' from {address}' if address else ''}: {refusal}")

    def _judge(self, request: list[bytes]) -> tuple[str, bytes]:
        """("", User-Id), or (why not, b"")."""
        if len(request) != 7 or request[5] != b"CURVE" or len(request[6]) != 32:
            return "it uses no CURVE key", b""
        public = z85.encode(request[6])
        refusal = self.allow.refusal(public.decode())
        return refusal, b"" if refusal else public

    def close(self) -> None:
        self.socket.close(0)
