"""Both ends of the wire: a DEALER and a ROUTER of three-frame messages.

Options are set before connect and bind (set later, most have no effect). Every frame is limited;
a message with another number of frames is garbage, counted and dropped. Nothing here blocks but
`wait`. The ROUTER drops what a peer's full queue cannot take: whatever is sent to an actor is
cumulative or asked for again.

With keys every connection is CURVE: encrypted, the server known to the client by its public key,
the client to the server by the allow-list (see zap.py), and each message carries its sender's key.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence

import zmq

from robot_rl.errors import InUseError, WireError
from robot_rl.wire.addresses import insecure_warning, parse_address, private_directory
from robot_rl.wire.key_files import Key, Role
from robot_rl.wire.keys import ClientKeys, KeyFolder
from robot_rl.wire.locks import FileLock
from robot_rl.wire.monitor import Trouble, complaint
from robot_rl.wire.probe import offered_security
from robot_rl.wire.socket_base import MORE, NOW, Body, Received, ThreeFrames, message_of
from robot_rl.wire.zap import DOMAIN, AllowList, ZapHandler

REPEAT_S = 5.0
"""The same complaint again, at the earliest."""


class Dealer(ThreeFrames):
    """The connecting end: `dealer.send(head, extra, body)`, `dealer.receive()`; never blocks."""

    def __init__(
        self,
        address: str,
        *,
        insecure: bool = False,
        queue: int = 4096,
        keys: ClientKeys | None = None,
    ) -> None:
        """Connects (whether anyone listens yet or not); WireError on an address not allowed."""
        where = parse_address(address, insecure=insecure, keyed=keys is not None)
        if warning := insecure_warning(where, keyed=keys is not None):
            print(warning, file=sys.stderr, flush=True)
        super().__init__(zmq.DEALER, queue)
        self.trouble = Trouble(where.text)
        """Why there is no connection; as new as the last `receive` that gave None."""
        self._where, self._asked = where, 0
        if keys is not None:
            own, server = keys.own.key, keys.server
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, server.public.encode())
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, own.public.encode())
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret)
            self.trouble.key = f"key '{own.name}' ({own.public})"
            self.trouble.server = f"the secret of server key '{server.name}' ({server.public})"
        self.socket.connect(where.text)

    def look(self) -> Trouble:
        """`trouble`, after asking a peer that keeps closing what it offers (0.3 s at most)."""
        trouble = self.trouble
        if not trouble.final and not trouble.stranger and trouble.closed > self._asked + 1:
            self._asked = trouble.closed
            trouble.learn(offered_security(self._where))
        return trouble

    def send(self, head: bytes, extra: bytes = b"", body: Body = b"") -> bool:
        """False when the queue is full."""
        try:
            self.send_frames(head, extra, body)
        except zmq.Again:
            return False
        return True

    def receive(self) -> Received | None:
        """The next message, or None."""
        while True:
            try:
                head = self.socket.recv(NOW)
            except zmq.Again:
                for event in self.monitor.events():
                    self.trouble.take(event)
                return None
            if (message := message_of(b"", head, self.rest())) is not None:
                return message
            self.garbage += 1


class Router(ThreeFrames):
    """The bound end: `router.receive()` gives messages with the peer to `send` answers to."""

    def __init__(
        self,
        address: str,
        *,
        insecure: bool = False,
        queue: int = 4096,
        keys: KeyFolder | None = None,
    ) -> None:
        """Binds; InUseError if another process holds the address, never stealing it.

        With `keys`: the folder's server key is this end's, and its public keys are who may connect.
        """
        where = parse_address(address, insecure=insecure, keyed=keys is not None)
        own = keys.own(Role.SERVER) if keys is not None else None
        self.allow = AllowList(keys) if keys is not None else None
        """Who may connect; None without keys."""
        self.allow_changed = False
        """Set when the list is new; whoever holds sessions clears it."""
        self.denied = 0
        """Connections that were refused."""
        self._complaints: deque[str] = deque(maxlen=16)
        self._said: dict[str, float] = {}
        self.private = where.path is not None
        """An ipc path in a directory that only this user may enter."""
        self._lock: FileLock | None = None
        if where.path is not None:
            private_directory(where.path.parent)
            lock = where.path.with_name(where.path.name + ".lock")
            self._lock = FileLock(lock, f"address {address}")
        if warning := insecure_warning(where, keyed=keys is not None):
            print(warning, file=sys.stderr, flush=True)
        # A ZAP handler serves a whole context: a keyed end has one of its own.
        self._context = zmq.Context() if self.allow is not None else None
        super().__init__(zmq.ROUTER, queue, self._context)
        self._zap: ZapHandler | None = None
        if self._context is not None and self.allow is not None and own is not None:
            self._zap = ZapHandler(self._context, self.allow)
            self.socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
            self.socket.setsockopt(zmq.CURVE_SERVER, 1)
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, own.key.public.encode())
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, own.secret)
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
            self.socket.send(peer, MORE)
            self.send_frames(head, extra, body)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def receive(self) -> Received | None:
        """The next message, or None."""
        while True:
            user = ""
            try:
                if self._zap is None:
                    peer = self.socket.recv(NOW)
                else:
                    frame = self.socket.recv(NOW, copy=False)
                    peer, user = frame.bytes, str(frame.get("User-Id"))
            except zmq.Again:
                self.tend()
                return None
            if not self.socket.getsockopt(zmq.RCVMORE):
                self.garbage += 1
                continue
            head = self.socket.recv(NOW)
            if (message := message_of(peer, head, self.rest(), user)) is not None:
                return message
            self.garbage += 1

    def tend(self) -> None:
        """Answers who may connect and hears who could not.

        Called by `receive` when nothing is there; in a loop that may be busy, once a turn.
        """
        if self._zap is not None and self.allow is not None:
            problems = self.allow.look()
            self.allow_changed = self.allow_changed or problems is not None
            denied = self._zap.tend()
            self.denied += len(denied)
            for line in [*(problems or []), *denied]:
                self._complain(line)
        for event in self.monitor.events():
            if line := complaint(event, keyed=self._zap is not None):
                self.denied += 1
                self._complain(line)

    def warnings(self) -> list[str]:
        """What `tend` found and nobody has been told yet; the same again after REPEAT_S only."""
        found = list(self._complaints)
        self._complaints.clear()
        return found

    def _complain(self, line: str) -> None:
        now = time.monotonic()
        if now - self._said.get(line, -REPEAT_S) < REPEAT_S:
            return
        if len(self._said) > 256:  # as many keys as a stranger likes to make
            self._said.clear()
        self._said[line] = now
        self._complaints.append(line)

    def key_of(self, user: str) -> Key | None:
        """The key of a message's sender, if it may be here now; None without keys."""
        return None if self.allow is None else self.allow.find(user)

    @property
    def pollable(self) -> list[zmq.Socket]:
        """What wakes its loop."""
        return [self.socket] if self._zap is None else [self.socket, self._zap.socket]

    def close(self) -> None:
        super().close()
        if self._zap is not None:
            self._zap.close()
        if self._context is not None:
            self._context.term()
        if self._lock is not None:
            self._lock.release()


class Waiter:
    """Waits for messages on sockets, or for bytes on plain descriptors."""

    def __init__(self, sockets: Sequence[Dealer | Router], descriptors: Sequence[int] = ()) -> None:
        self._poller = zmq.Poller()
        for socket in sockets:
            for one in socket.pollable if isinstance(socket, Router) else [socket.socket]:
                self._poller.register(one, zmq.POLLIN)
        for descriptor in descriptors:
            self._poller.register(descriptor, zmq.POLLIN)

    def wait(self, timeout_ms: int) -> bool:
        """True when something has arrived within `timeout_ms`."""
        return bool(self._poller.poll(timeout_ms))
