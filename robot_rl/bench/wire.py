"""The wire between an actor here and an ingest process, and how late a control loop beside it is.

Real processes and sockets on this machine: ring, I/O process, spool, ZeroMQ, ingest, log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.errors import WireError
from robot_rl.specs import EnvSpec
from robot_rl.testing.wire_harness import (
    WireHarness,
    random_observation,
    random_transition,
    wait_for,
)
from robot_rl.timing import MonotonicClock, Rate
from robot_rl.types import Array, Transition
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.mailbox import LinkStatus

ACTOR = "bench"
HUNG_S = 60.0
"""After which a message is taken for lost."""


@dataclass(slots=True)
class Link:
    """An actor's end, connected, with a transition to write again and again."""

    wire: WireHarness
    actor: ActorLink
    transition: Transition
    write_s: list[float] = field(default_factory=list)
    """What each record cost the control loop."""

    def write(self) -> None:
        start = time.perf_counter()
        self.actor.step(self.transition)
        self.write_s.append(time.perf_counter() - start)

    def records_s(self, count: int) -> list[float]:
        """Seconds from a step to its record in the log, where a learner reads it."""
        found = []
        with LogReader(self.wire.log_dir, self.wire.spec) as log:
            for _ in range(count):
                start = time.perf_counter()
                self.write()
                while log.position < self.actor.next_sequence:
                    list(log.poll(1024))
                    _not_longer(start, "a record")
                found.append(time.perf_counter() - start)
        return found

    def weights_s(self, weights: Mapping[str, Array], count: int) -> list[float]:
        """Seconds from a learner's `publish` to the weights in the actor's hands."""
        found = []
        learner = self.wire.learner()
        for version in range(1, count + 1):
            start = time.perf_counter()
            learner.publish(weights, version)
            while (new := self.actor.newest()) is None or new[1] != version:
                time.sleep(0.0001)
                _not_longer(start, "weights")
            found.append(time.perf_counter() - start)
        return found

    def lateness_s(self, hz: float, seconds: float) -> Array:
        """(periods,) how late each period began of a loop that writes a record in each, s."""
        clock = MonotonicClock()
        rate = Rate(clock.now_ns, clock.sleep_until, round(1e9 / hz))
        late = np.zeros(max(2, round(seconds * hz)))
        for period in range(len(late)):
            late[period] = rate.wait() / 1e9
            if self.actor.room > 1:
                self.write()
        return late


@contextmanager
def connected(spec: EnvSpec) -> Iterator[Link]:
    """Ingest and I/O process in folders of their own, an actor's end here."""
    rng = np.random.default_rng(0)
    obs = random_observation(spec, rng)
    with TemporaryDirectory(prefix="bench-") as folder, WireHarness(Path(folder), spec) as wire:
        wire.start_ingest()
        wire.start_io(ACTOR)
        actor = wire.link(ACTOR, 1)
        wait_for("the connection", lambda: actor.status is LinkStatus.CONNECTED, HUNG_S)
        actor.start(obs, 0, 0, 1)
        yield Link(wire, actor, random_transition(spec, rng, obs, step=1))


def _not_longer(start: float, what: str) -> None:
    if time.perf_counter() - start > HUNG_S:
        raise WireError(f"{what} did not arrive within {HUNG_S:g} s")
