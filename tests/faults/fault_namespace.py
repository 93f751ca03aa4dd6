"""A network namespace whose only link loses, delays and reorders packets as told.

Two TUN devices, one here and one in the namespace, and a thread that carries packets between them:
it needs the right to make namespaces, but no kernel module for bad networks (tc netem).
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field

_TUNSETIFF, _TUN, _NO_PI = 0x400454CA, 0x0001, 0x1000
_PACKET = 65536


def _run(*words: str) -> str:
    """What the command complained about; "" where it did not."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{words[0]} is not installed"
    return done.stderr.strip() if done.returncode else ""


def no_namespaces() -> str:
    """Why no network namespace with a link of its own can be made here, "" where it can."""
    try:
        with Namespace(f"rrlx{os.getpid() % 10**6}"):
            return ""
    except OSError as error:
        return f"no network namespaces here: {error}"


def _tun(name: str) -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH", name.encode(), _TUN | _NO_PI))
    except OSError:
        os.close(handle)
        raise
    return handle


@dataclass
class Namespace:
    """with Namespace("x") as space: run `ip netns exec x …` against space.near; space.loss = 0.3"""

    name: str
    near: str = "10.231.77.1"
    far: str = "10.231.77.2"
    loss: float = 0.0
    """Share of packets, in each direction."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Added at random to each packet alone: packets overtake each other."""
    lost: int = 0
    carried: int = 0
    _handles: list[int] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Namespace:
        a, b, name = f"{self.name}a", f"{self.name}b", self.name
        try:
            self._handles = [_tun(a), _tun(b)]
            for words in (
                ("ip", "netns", "add", name),
                ("ip", "link", "set", b, "netns", name),
                ("ip", "addr", "add", self.near, "peer", self.far, "dev", a),
                ("ip", "-n", name, "addr", "add", self.far, "peer", self.near, "dev", b),
                ("ip", "link", "set", a, "up"),
                ("ip", "-n", name, "link", "set", b, "up"),
                ("ip", "-n", name, "link", "set", "lo", "up"),
            ):
                if why := _run(*words):
                    raise OSError(f"{' '.join(words)}: {why}")
        except OSError:
            self.__exit__()
            raise
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for handle in self._handles:
            os.close(handle)
        self._handles = []
        _run("ip", "netns", "del", self.name)

    def _carry(self) -> None:
        """Packets from one device to the other, when their time has come."""
        rng = random.Random(0)
        a, b = self._handles
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while not self._ended.is_set():
            until = max(0.0, waiting[0][0] - time.monotonic()) if waiting else 0.05
            for source in select.select([a, b], [], [], min(until, 0.05))[0]:
                with contextlib.suppress(BlockingIOError):
                    packet = os.read(source, _PACKET)
                    if rng.random() < self.loss:
                        self.lost += 1
                        continue
                    number += 1
                    due = time.monotonic() + self.delay_s + rng.uniform(0.0, self.jitter_s)
                    heapq.heappush(waiting, (due, number, b if source == a else a, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, sink, packet = heapq.heappop(waiting)
                self.carried += 1
                with contextlib.suppress(BlockingIOError, OSError):
                    os.write(sink, packet)
