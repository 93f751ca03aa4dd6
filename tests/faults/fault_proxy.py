"""A network in between: a TCP proxy that flips bits, delays, stalls, cuts."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """Listens on a free port of loopback and passes bytes on to `target` and back.

    with Proxy(5601) as proxy: connect to proxy.port; proxy.flip = 1e-5; proxy.cut()
    """

    target: int
    flip: float = 0.0
    """Share of bytes sent towards the target with one bit changed."""
    flip_skip: int = 256
    """First bytes of a connection that stay as they are: the handshake of ZeroMQ itself."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    stalled: bool = False
    """Nothing passes; connections stay open: a partition."""
    flipped: int = 0
    passed: int = 0
    connections: int = 0
    port: int = field(init=False)
    _open: list[socket.socket] = field(default_factory=list)
    _ended: bool = False

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._rng = random.Random(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Resets every connection."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._ended = True
        self._server.close()
        self.cut()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self.target), 5.0)
            except OSError:
                time.sleep(0.05)
                continue
            self.connections += 1
            self._open += [near, far]
            for source, sink, towards in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=self._pass, args=(source, sink, towards), daemon=True
                ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, towards: bool) -> None:
        seen = 0
        try:
            while data := source.recv(65536):
                while self.stalled and not self._ended:
                    time.sleep(0.005)
                if self.delay_s:
                    time.sleep(self.delay_s + self._rng.uniform(0.0, self.jitter_s))
                if towards and self.flip and seen > self.flip_skip:
                    data = self._flipped(data)
                seen += len(data)
                self.passed += len(data)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _flipped(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(len(data)):
            step = int(self._rng.expovariate(self.flip))
            if step >= len(data):
                break
            changed[step] ^= 1 << self._rng.randrange(8)
            self.flipped += 1
            break
        return bytes(changed)
