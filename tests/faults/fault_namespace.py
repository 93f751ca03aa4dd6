"""A network namespace with a link of its own to this host, for what only a real network does."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass


def _run(*words: str) -> str:
    """What the command complained about; "" where it did not."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{words[0]} is not installed"
    return done.stderr.strip() if done.returncode else ""


def no_namespaces() -> str:
    """Why no network namespace can be made here."""
    name = f"rrlx{os.getpid() % 10**6}"
    why = _run("ip", "netns", "add", name)
    if not why:
        _run("ip", "netns", "del", name)
    return why and f"no network namespaces here: {why}"


def no_netem() -> str:
    """Why tc netem (loss, delay, reordering) does not work here."""
    name = f"rrlx{os.getpid() % 10**6}"
    if why := no_namespaces():
        return why
    _run("ip", "netns", "add", name)
    why = _run("tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "netem", "loss", "1%")
    _run("ip", "netns", "del", name)
    return why and f"no tc netem here: {why}"


@dataclass
class Namespace:
    """`with Namespace("x") as space: run 'ip netns exec x …' against space.near`."""

    name: str
    near: str = "10.231.77.1"
    far: str = "10.231.77.2"

    def __enter__(self) -> Namespace:
        a, b, name = f"{self.name}a", f"{self.name}b", self.name
        for words in (
            ("ip", "netns", "add", name),
            ("ip", "link", "add", a, "type", "veth", "peer", "name", b, "netns", name),
            ("ip", "addr", "add", f"{self.near}/30", "dev", a),
            ("ip", "-n", name, "addr", "add", f"{self.far}/30", "dev", b),
            ("ip", "link", "set", a, "up"),
            ("ip", "-n", name, "link", "set", b, "up"),
            ("ip", "-n", name, "link", "set", "lo", "up"),
        ):
            if why := _run(*words):
                self.__exit__()
                raise OSError(f"{' '.join(words)}: {why}")
        return self

    def __exit__(self, *_: object) -> None:
        _run("ip", "link", "del", f"{self.name}a")
        _run("ip", "netns", "del", self.name)

    def link(self, state: str) -> None:
        """`up` or `down`."""
        _run("ip", "link", "set", f"{self.name}a", state)

    def netem(self, *trouble: str) -> None:
        """Both directions suffer; nothing given: the link is good again."""
        for where, device in (([], f"{self.name}a"), (["-n", self.name], f"{self.name}b")):
            verb = "replace" if trouble else "del"
            words = ("netem", *trouble) if trouble else ()
            _run("tc", *where, "qdisc", verb, "dev", device, "root", *words)
