"""A torch-free actor that writes seeded records into the ring at a rate and notes each of them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import struct
import sys
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from fault_recorder import Notebook, What

from robot_rl.errors import RobotFault
from robot_rl.specs import EnvSpec
from robot_rl.testing.wire_harness import random_observation, random_transition, small_spec
from robot_rl.types import Transition
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.parent import die_with_parent
from robot_rl.wire.protocol import ControlKind

TAIL_AT = 320  # robot_rl/wire/ring.py: the reader's counter, in the header page of the ring's file


EPISODE = 50
"""Steps of an episode."""


class ActorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the process does."""

    runtime_dir: str
    actor: str
    book: str
    spec: str = ""
    rate_hz: float = 500.0
    seed: int = 0
    epoch: int = 0
    """0: a random one, as the product's actor has."""
    episode: int = EPISODE
    steps: int = 1 << 40
    slots: int | None = None
    credits: bool = False
    """Waits for credit between steps."""
    distinct: int = 64
    """Different transitions, taken in turns; sequence and stamps make each record its own."""
    poison_every: int = 0
    """A NaN or infinity in each so-manieth step, in observation, action, proposal and reward in
    turns; none where 0."""
    fail_at: int = 0
    """The driver raises at this step."""
    late: str = ""
    """A file for the lateness of each period, int64 ns."""


def all_finite(record: memoryview) -> bool:
    """Whether the floats that must be finite are: 76 reward, 88 action and proposed, then, behind
    the human's action (NaN with hands off), the rest; small_spec's layout in docs/data.md."""
    reward = np.frombuffer(record, "<f4", 1, 76)
    floats = np.frombuffer(record, "<f4", offset=88)
    parts = (reward, floats[:14], floats[21:])
    return all(bool(np.isfinite(part).all()) for part in parts)


class Noted:
    """Stands between link and ring: notes a record before and after the ring takes it."""

    def __init__(self, ring: Any, book: Path, epoch: int) -> None:
        self._write, self._book, self._epoch = ring.try_write, Notebook(book), epoch
        self._ring = os.open(ring.path, os.O_RDONLY | os.O_CLOEXEC)
        self._committed = 0
        ring.try_write = self

    def __call__(self, record: memoryview) -> bool:
        sequence = struct.unpack_from("<Q", record, 8)[0]
        self._book.note(What.INTENT, self._epoch, sequence, zlib.crc32(record))
        if not all_finite(record):
            self._book.note(What.POISON, self._epoch, sequence)
        done: bool = self._write(record)
        if done:
            self._book.note(What.WRITTEN, self._epoch, sequence)
        self.committed()
        return done

    def committed(self) -> None:
        """Notes how far the I/O process says that its spool has everything."""
        tail = struct.unpack("<Q", os.pread(self._ring, 8, TAIL_AT))[0]
        if tail > self._committed:
            self._committed = tail
            self._book.note(What.COMMITTED, self._epoch, tail)


def poisoned(transition: Transition, number: int) -> Transition:
    """With a NaN or an infinity in one of four places."""
    bad = (np.nan, np.inf, -np.inf)[number % 3]
    place = number % 4
    if place == 0:
        return replace(transition, reward=float(bad))
    if place == 1:
        return replace(transition, action=np.full_like(transition.action, bad))
    if place == 2:
        return replace(transition, proposed=np.full_like(transition.proposed, bad))
    obs = {name: array.copy() for name, array in transition.next_obs.items()}
    obs["state"][-1] = bad
    return replace(transition, next_obs=obs)


def run(config: ActorConfig, stop: threading.Event) -> None:
    """Episodes of random transitions until `stop` or `steps`."""
    spec = EnvSpec.from_json(config.spec.encode()) if config.spec else small_spec()
    epoch = config.epoch or secrets.randbits(62) | 1
    rng = np.random.default_rng([config.seed, epoch % (1 << 32)])
    obs = random_observation(spec, rng)
    pool = [random_transition(spec, rng, obs, step=1) for _ in range(config.distinct)]
    link = ActorLink(Path(config.runtime_dir), spec, config.actor, epoch, slots=config.slots)
    noted = Noted(link._ring, Path(config.book), epoch)
    late = open(config.late, "ab", buffering=0) if config.late else None  # noqa: SIM115
    print("UP", flush=True)
    period = round(1e9 / config.rate_hz)
    due = time.monotonic_ns()
    done = 0
    while not stop.is_set() and done < config.steps:
        while not stop.is_set() and (
            link.hold_reason()
            or (config.credits and link.credits <= done)
            or link.control().kind is ControlKind.PAUSE
        ):
            time.sleep(0.001)
            noted.committed()
            due = time.monotonic_ns()
        if stop.is_set():
            break
        if done % config.episode == 0:
            link.start(obs, done // config.episode, 0, 1)
        number = done % config.episode + 1
        link.newest()
        transition = replace(
            pool[done % config.distinct],
            step=number,
            episode=done // config.episode,
            stamp_ns=done,
            truncated=number == config.episode,
        )
        if config.poison_every and done % config.poison_every == config.poison_every - 1:
            transition = poisoned(transition, done // config.poison_every)
        done += 1
        if done == config.fail_at:
            raise RobotFault("the driver lost its robot")
        link.step(transition)
        due += period
        wait = due - time.monotonic_ns()
        if late is not None:
            late.write(struct.pack("<q", max(0, -wait)))
        if wait > 0:
            time.sleep(wait / 1e9)
        elif wait < -period * 50:
            due = time.monotonic_ns()
    link.close()


def main(arguments: list[str]) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    die_with_parent()
    run(msgspec.convert(json.loads(arguments[0]), ActorConfig), stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
