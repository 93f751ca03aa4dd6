"""Sixteen actors at 30 Hz: what encryption and durability cost, and where the ceilings are.

Each actor is a real one without its policy: a ring, a spool on disk, a session; all in this
process, ingest in another. The paced runs ask whether 16 x 30 records a second are held with both
on, and for what share of a core; the ceilings let every actor write as fast as its ring has room.

    python tests/benchmarks/speeds.py fleet
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.errors import WireError
from robot_rl.memory import keep_heap
from robot_rl.runtime.io import IOProcess
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.testing.wire_harness import (
    WireHarness,
    random_observation,
    random_transition,
    small_spec,
    wait_for,
)
from robot_rl.types import Transition
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.process import IOConfig

ACTORS = 16
HZ = 30.0
CAMERA = (128, 128, 3)
NEVER_MS = 1e9
MODES = [(curve, durable) for curve in (False, True) for durable in (False, True)]
_TICK = os.sysconf("SC_CLK_TCK")


def camera_spec() -> EnvSpec:
    """The state of `small_spec` and two cameras of 128 x 128 RGB: 98 kB a record."""
    state = small_spec()
    cameras = [ArraySpec(name, CAMERA, "uint8", 0, 255) for name in ("front", "wrist")]
    return EnvSpec(
        "wire-test", (*state.observation, *cameras), state.action, state.command_layout, HZ
    )


def bench_keys(folder: Path) -> KeyFolder:
    """A server's and an actor's key in one folder."""
    keys = KeyFolder(folder / "keys")
    if not keys.path.exists():
        keys.make("server", Role.SERVER)
        keys.make("actor", Role.ACTOR)
    return keys


@dataclass(slots=True)
class Sender:
    """One actor's ring and I/O process, driven by `turn`."""

    link: ActorLink
    io: IOProcess
    transition: Transition
    due: float = 0.0

    @property
    def written(self) -> int:
        return self.link.next_sequence

    def write(self) -> bool:
        """One record; False while the ring is full."""
        if self.link.room < 2:
            return False
        self.link.step(self.transition)
        return True


@dataclass(slots=True)
class Fleet:
    """`with fleet(folder, spec, curve=…, durable=…) as it: it.paced(10)`."""

    wire: WireHarness
    ingest: int
    """Process id."""
    senders: list[Sender] = field(default_factory=list)

    def paced(self, seconds: float) -> dict[str, float]:
        """Every sender writes HZ records a second, evenly spread."""
        begin = time.monotonic()
        for index, sender in enumerate(self.senders):
            sender.due = begin + index / (ACTORS * HZ)
        return self._measure(seconds, self._write_due)

    def flat_out(self, seconds: float) -> dict[str, float]:
        """Every sender writes whenever its ring has room; the rate is that of everything written,
        until all of it is acknowledged: 64 MiB a sender may be on their way."""
        return self._measure(seconds, self._write_all, to_the_end=True)

    def _write_due(self, now: float) -> None:
        for sender in self.senders:
            while sender.due <= now and sender.write():
                sender.due += 1 / HZ

    def _write_all(self, now: float) -> None:
        for sender in self.senders:
            for _ in range(16):
                if not sender.write():
                    break

    def _measure(
        self, seconds: float, write: Callable[[float], None], *, to_the_end: bool = False
    ) -> dict[str, float]:
        """Rates of the window alone, or with what is sent after it; nothing may be lost."""
        first, own, other = self._acknowledged(), time.process_time(), cpu_s(self.ingest)
        start = time.monotonic()
        while (now := time.monotonic()) - start < seconds:
            write(now)
            moved = [sender.io.turn() for sender in self.senders]
            if not any(moved):
                time.sleep(0.001)
        behind = sum(sender.written for sender in self.senders) - self._acknowledged()
        if to_the_end:
            self._finish()
        elapsed = time.monotonic() - start
        own, other = time.process_time() - own, cpu_s(self.ingest) - other
        rate = (self._acknowledged() - first) / elapsed
        self._finish()
        written = sum(sender.written for sender in self.senders)
        logged = self.wire.learner().wait_connected(20).records
        if logged != written:
            raise WireError(f"{logged} of {written} records in the log")
        size = self.senders[0].link._ring.identity.record_bytes
        return {
            "per_s": rate,
            "MB_per_s": rate * size / 1e6,
            "behind": behind,
            "ingest_core": other / elapsed,
            "senders_core": own / elapsed,
        }

    def _acknowledged(self) -> int:
        """Records of all senders that ingest has acknowledged."""
        return sum(sender.io.spool.settled[1] for sender in self.senders)

    def _finish(self) -> None:
        def done() -> bool:
            for sender in self.senders:
                sender.io.turn()
            return all(s.io.session.idle and s.link.room == _slots(s.link) for s in self.senders)

        wait_for("the rest to be acknowledged", done, 60)


def _slots(link: ActorLink) -> int:
    return link._ring.identity.slots


def cpu_s(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextmanager
def fleet(
    folder: Path, spec: EnvSpec, *, curve: bool, durable: bool, actors: int = ACTORS
) -> Iterator[Fleet]:
    """Ingest and `actors` connected senders, over TCP on loopback."""
    keys = str(bench_keys(folder).path) if curve else ""
    rng = np.random.default_rng(0)
    obs = random_observation(spec, rng)
    with WireHarness(folder, spec) as wire:
        wire.addresses = ("tcp://127.0.0.1:*", wire.addresses[1])
        ingest = wire.start_ingest(sync_ms=20.0 if durable else 0.0, keys=keys)
        address = wire.output("ingest").rsplit("READY ", 1)[1].split()[0]
        it = Fleet(wire, ingest.pid)
        try:
            for index in range(actors):
                name = f"actor-{index}"
                link = wire.link(name, 1, slots=1024 if len(spec.observation) == 1 else 64)
                config = IOConfig(
                    name,
                    address,
                    str(wire.runtime),
                    str(folder / "spool" / name),
                    sync_ms=50.0 if durable else NEVER_MS,
                    keys=keys,
                )
                sender = Sender(link, IOProcess(config), random_transition(spec, rng, obs, step=1))
                it.senders.append(sender)
                link.start(obs, 0, 0, 1)

            def connected() -> bool:
                for sender in it.senders:
                    sender.io.turn()
                return all(s.io.session.welcomed and s.io.session.idle for s in it.senders)

            wait_for("every sender's connection", connected)
            yield it
        finally:
            for sender in it.senders:
                sender.io.close()


def run(*, repeats: int = 3, seconds: float = 6.0, actors: int = ACTORS) -> dict[str, Any]:
    """Medians of `repeats` interleaved runs by load and mode; "curve", "durable" on or off."""
    keep_heap()
    root = Path(tempfile.mkdtemp(prefix="bench-fleet-"))
    specs = {"state": small_spec(), "cameras": camera_spec()}
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    try:
        for repeat in range(repeats):
            for load, spec in specs.items():
                for curve, durable in MODES:
                    mode = mode_name(curve, durable)
                    folder = root / f"{load}-{mode}-{repeat}"
                    folder.mkdir()
                    with fleet(folder, spec, curve=curve, durable=durable, actors=actors) as it:
                        paced = it.paced(seconds)
                        flat_out = it.flat_out(seconds / 2)
                    found.setdefault((load, mode, "paced"), []).append(paced)
                    found.setdefault((load, mode, "ceiling"), []).append(flat_out)
                    shutil.rmtree(folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    result: dict[str, Any] = {"actors": actors, "hz": HZ, "seconds": seconds, "repeats": repeats}
    for (load, mode, kind), runs in found.items():
        middle = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        middle["worst_behind"] = max(one["behind"] for one in runs)
        result.setdefault(load, {}).setdefault(kind, {})[mode] = middle
    return result


def mode_name(curve: bool, durable: bool) -> str:
    """curve or plain, durable or not synced."""
    return f"{'curve' if curve else 'plain'}_{'durable' if durable else 'unsynced'}"
