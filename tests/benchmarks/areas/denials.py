"""How long until both sides of a refused connection name what is wrong."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from robot_rl.errors import WireError
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import ClientKeys, KeyFolder
from robot_rl.wire.sockets import Dealer, Router

LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Case:
    """A server with or without keys, and a client that it must not serve."""

    name: str
    server: KeyFolder | None
    client: ClientKeys | None


def cases(root: Path) -> list[Case]:
    """Unknown and revoked key, another server's, keys on one side only."""
    server, other = KeyFolder(root / "server"), KeyFolder(root / "other")
    for folder in (server, other):
        folder.make("learner", Role.SERVER)

    def client(name: str, knows: KeyFolder, *, listed: bool) -> ClientKeys:
        folder = KeyFolder(root / name)
        folder.make(name, Role.ACTOR)
        _carry(knows, folder, "learner")
        if listed:
            _carry(folder, server, name)
        return folder.client(Role.ACTOR)

    revoked = client("revoked", server, listed=True)
    server.revoke("revoked")
    return [
        Case("unknown key", server, client("unknown", server, listed=False)),
        Case("revoked key", server, revoked),
        Case("another server's key", server, client("lost", other, listed=True)),
        Case("no key, at a server with keys", server, None),
        Case("a key, at a server without", None, client("good", server, listed=True)),
    ]


def _carry(source: KeyFolder, target: KeyFolder, name: str) -> None:
    (target.path / f"{name}.key").write_bytes((source.path / f"{name}.key").read_bytes())


def named_after(case: Case, address: str) -> tuple[float, float]:
    """Seconds until the client, and until the server, has a line; WireError if one never does."""
    router = Router(address, keys=case.server)
    start = time.perf_counter()
    dealer = Dealer(router.address, keys=case.client)
    here = there = 0.0
    try:
        while not (here and there):
            now = time.perf_counter() - start
            if now > LIMIT_S:
                raise WireError(f"{case.name}: nobody said why within {LIMIT_S:g} s")
            if dealer.receive() is not None or router.receive() is not None:
                raise WireError(f"{case.name}: a message came through")
            trouble = dealer.look()
            if not here and (trouble.final or trouble.stranger):
                here = time.perf_counter() - start
            if not there and router.warnings():
                there = time.perf_counter() - start
            time.sleep(0.0005)
    finally:
        dealer.close()
        router.close()
    return here, there


def run(*, repeats: int = 40) -> dict[str, dict[str, float]]:
    """Milliseconds by case over TCP on loopback: median and maximum of the slower side."""
    root = Path(tempfile.mkdtemp(prefix="bench-denials-"))
    root.chmod(0o700)
    try:
        found = {}
        for case in cases(root):
            times = [max(named_after(case, "tcp://127.0.0.1:*")) for _ in range(repeats)]
            found[case.name] = {
                "p50_ms": 1e3 * statistics.median(times),
                "max_ms": 1e3 * max(times),
            }
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return found
