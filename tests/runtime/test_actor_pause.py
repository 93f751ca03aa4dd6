"""A person's pause as the actor's loop obeys it, over a real wire; its environment is small."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_rl.config import load_config
from robot_rl.factory import make_env, make_operator, make_policy
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.actor import Actor
from robot_rl.runtime.actor_report import ActorReport
from robot_rl.runtime.rearm import RearmPost
from robot_rl.runtime.starts import StartStates
from robot_rl.testing.wire_harness import WireHarness, wait_for
from robot_rl.wire.learner_link import LearnerLink
from robot_rl.wire.protocol import ActorStats, ControlKind

EPISODE = 200
"""Steps of an episode of Pendulum."""


class Loop:
    """An actor that waits for credit between episodes, as on hardware, in a thread."""

    def __init__(self, wire: WireHarness, folder: Path) -> None:
        cfg = load_config(["env=gym", "env.id=Pendulum-v1", "agent=sac"])
        self.env = make_env(cfg)
        wire.spec = self.env.spec
        wire.start_ingest()
        wire.start_io("a")
        self.metrics = MetricsWriter(folder, "a", origin_s=0.0)
        link = wire.link("a", 1)
        policy = Inline(make_policy(cfg, wire.spec, seed=0))
        self.actor = Actor(
            rollout=Rollout(self.env, policy, make_operator(cfg, self.env), sink=link),
            link=link,
            report=ActorReport(self.metrics, link, "a"),
            starts=StartStates(folder / "a.starts", 0, "a"),
            post=RearmPost(wire.runtime, "a"),
            wait="episode",
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.actor.run, args=(self._stop.is_set,))

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        self.metrics.close()
        self.env.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[WireHarness]:
    with WireHarness(tmp_path, granted=0) as harness:
        yield harness


def stats_of(learner: LearnerLink) -> ActorStats | None:
    stats = learner.stats()
    return stats.actors[0] if stats is not None and stats.actors else None


def test_a_pause_holds_an_actor_that_waits_for_credit(wire: WireHarness, tmp_path: Path) -> None:
    """It once looked for a pause before it waited, not after: the first credit moved the robot."""
    with Loop(wire, tmp_path) as loop:
        learner = wire.learner()
        learner.heartbeat(0)
        wait_for("the actor", lambda: stats_of(learner) is not None)
        learner.control(ControlKind.PAUSE)
        wait_for("rest", lambda: (found := stats_of(learner)) is not None and found.resting)
        learner.grant(3 * EPISODE)
        wait_for("the credit", lambda: loop.actor.link.credits > 0)
        time.sleep(0.5)
        assert loop.actor.total_steps == 0
        learner.control(ControlKind.RUN)
        wait_for("an episode", lambda: loop.actor.total_steps >= EPISODE)
        wait_for("no rest", lambda: (found := stats_of(learner)) is not None and not found.resting)


def test_a_pausing_actor_rests_only_after_its_episode(wire: WireHarness, tmp_path: Path) -> None:
    seen = set[tuple[bool, bool, bool]]()
    with Loop(wire, tmp_path) as loop:
        learner = wire.learner()
        learner.grant(1_000_000)
        wait_for("steps", lambda: loop.actor.total_steps > 0)
        learner.control(ControlKind.PAUSE)

        def rests() -> bool:
            found, steps = stats_of(learner), loop.actor.total_steps
            if found is not None:
                seen.add((found.paused, found.resting, steps % EPISODE == 0))
            return found is not None and found.resting

        wait_for("rest", rests)
        steps = loop.actor.total_steps
        assert steps % EPISODE == 0
        assert all(whole for _, resting, whole in seen if resting)
        wait_for("a beat", lambda: (found := stats_of(learner)) is not None and found.resting)
        assert loop.actor.total_steps == steps
