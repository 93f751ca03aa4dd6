"""What holds an actor: the warm-up's end, a latched fault, evaluation, and how it is torn down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.config import load_config
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.actor import Actor
from robot_rl.runtime.actor_report import ActorReport
from robot_rl.runtime.evaluation import ActorEvaluation
from robot_rl.runtime.rearm import RearmPost, ask, holding
from robot_rl.runtime.starts import StartStates, start_seeds
from robot_rl.testing.fake_operators import FakeOperator, sample_of
from robot_rl.testing.fake_policies import PlannerOf
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Array, Event, Purpose, Source, Transition
from robot_rl.wire.amendment import Amendment
from robot_rl.wire.protocol import Control, ControlKind


@dataclass
class FakeLink:
    """What an actor asks of its link, from plain numbers; keeps what it is left."""

    credits: int = 10**9
    published_version: int = 0
    weights: list[int] = field(default_factory=list)
    """Versions that come, one a look."""
    resting: bool = False
    steps: list[Transition] = field(default_factory=list)
    looks: int = 0
    amendments: list[Amendment] = field(default_factory=list)

    def newest(self) -> tuple[Mapping[str, Array], int] | None:
        self.looks += 1
        return ({"bias": np.zeros(1)}, self.weights.pop(0)) if self.weights else None

    def control(self) -> Control:
        return Control(number=0, kind=ControlKind.RUN)

    def hold_reason(self, need: int = 2) -> str:
        return ""

    def trouble(self) -> str:
        return ""

    def queues(self) -> dict[str, int]:
        return {}

    def start(self, *arguments: Any, **more: Any) -> None:
        pass

    def amend(self, amendment: Amendment) -> Amendment:
        self.amendments.append(amendment)
        return amendment

    def step(self, transition: Transition) -> None:
        self.steps.append(transition)

    @property
    def trained(self) -> list[Transition]:
        return [step for step in self.steps if step.purpose is Purpose.TRAINING]


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[MetricsWriter]:
    with MetricsWriter(tmp_path / "run", "a", origin_s=0.0) as writer:
        yield writer


def make_actor(
    folder: Path,
    metrics: MetricsWriter,
    link: FakeLink,
    *,
    operator: FakeOperator | None = None,
    steps: int = 5,
    **how: Any,
) -> Actor:
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=steps, tolerance=1e-9))
    rollout = Rollout(
        env,
        Inline(PlannerOf(env.spec, horizon=1)),
        operator or FakeOperator([]),
        sink=link,
        actor="a",
    )
    return Actor(
        rollout=rollout,
        link=link,  # type: ignore[arg-type]
        report=ActorReport(metrics, link, "a", "runs/mine"),  # type: ignore[arg-type]
        starts=StartStates(folder / "a.starts", 0, "a"),
        post=RearmPost(folder, "a"),
        **how,
    )


def test_random_steps_end_where_the_warm_up_ends(tmp_path: Path, metrics: MetricsWriter) -> None:
    """Seven steps are granted; then weights are published, more is granted, and they come late."""
    link = FakeLink(credits=7)
    actor = make_actor(tmp_path, metrics, link)
    waited = 0

    def stopping() -> bool:
        nonlocal waited
        if len(link.steps) == 7:
            waited += 1
            if waited == 20:
                link.credits, link.published_version = 100, 1
            if waited == 60:
                assert len(link.steps) == 7, "it acted at random beyond the warm-up"
                link.weights.append(1)
        return len(link.steps) >= 20

    actor.run(stopping)
    sources = [step.source for step in link.steps]
    assert sources == [Source.RANDOM] * 7 + [Source.POLICY] * (len(sources) - 7)


def test_start_states_are_those_of_the_run_the_actor_and_k(
    tmp_path: Path, metrics: MetricsWriter
) -> None:
    link = FakeLink()
    actor = make_actor(tmp_path, metrics, link)
    seeds: list[tuple[int, int | None]] = []
    episode = actor.rollout.environment.reset

    def reset(seed: int) -> Any:
        seeds.append((seed, actor.rollout.planner.policy.seed))  # type: ignore[attr-defined]
        return episode(seed)

    actor.rollout.environment.reset = reset  # type: ignore[method-assign]
    actor.run(lambda: len(link.steps) >= 12)
    assert seeds[:2] == [start_seeds(0, "a", k) for k in range(2)]


def holds(folder: Path) -> Callable[[], bool]:
    return lambda: bool(holding(folder))


def test_a_latched_fault_holds_until_a_person_rearms_and_the_actor_lives_on(
    tmp_path: Path, metrics: MetricsWriter
) -> None:
    link = FakeLink()
    operator = FakeOperator([None, None, sample_of(None, Event.STOP)])
    actor = make_actor(tmp_path, metrics, link, operator=operator)
    ask(tmp_path, "a")  # of before: it re-arms nothing
    looks: list[int] = []

    def stopping() -> bool:
        if "a" in holding(tmp_path):
            looks.append(link.looks)
            if len(looks) == 10:
                assert len(link.steps) == 3, "it moved before anybody re-armed"
                ask(tmp_path, "a")
        return len(link.steps) >= 13

    actor.run(stopping)
    assert looks[-1] > looks[0], "it went on beating and looking for weights"
    assert holding(tmp_path) == {}
    assert link.steps[2].truncated
    assert link.steps[3].step == 1, "a new episode"
    lines = [event.text for event in read_metrics(tmp_path / "run").events]
    assert any("emergency stop" in line and "robot-rl rearm runs/mine" in line for line in lines)
    assert any("re-armed by a person" in line for line in lines)


def test_the_operator_at_the_robot_may_rearm(tmp_path: Path, metrics: MetricsWriter) -> None:
    link = FakeLink()
    readings = [sample_of(None, Event.STOP), None, None, sample_of(None, Event.REARM)]
    actor = make_actor(tmp_path, metrics, link, operator=FakeOperator(readings))
    actor.run(lambda: len(link.steps) >= 4)
    assert len(link.steps) >= 4
    assert actor.rollout.environment.step(actor.rollout.environment.hold()).fault == ""


def test_a_pressed_pause_holds_between_episodes(tmp_path: Path, metrics: MetricsWriter) -> None:
    link = FakeLink()
    press = sample_of(None, Event.PAUSE)
    readings = [None, press, None, None, None, *[None] * 5, press]
    actor = make_actor(tmp_path, metrics, link, operator=FakeOperator(readings))
    rested: list[int] = []

    def stopping() -> bool:
        if link.resting:
            rested.append(len(link.steps))
        return len(link.steps) >= 10

    actor.run(stopping)
    assert set(rested) == {5}, "the episode is ended first"
    assert len(link.steps) >= 10


def test_an_episode_that_a_person_discards_is_amended_in_the_log(
    tmp_path: Path, metrics: MetricsWriter
) -> None:
    link = FakeLink()
    readings = [None, sample_of(None, Event.DISCARD)]
    actor = make_actor(tmp_path, metrics, link, operator=FakeOperator(readings))
    actor.run(lambda: len(link.steps) >= 4)
    (amendment,) = link.amendments
    assert (amendment.action, amendment.actor, amendment.episode) == ("discard", "a", 0)
    assert link.steps[1].truncated


def test_evaluation_between_episodes_takes_no_credit(
    tmp_path: Path, metrics: MetricsWriter
) -> None:
    """One robot: every 10 training steps two frozen episodes, whose seeds are the evaluator's."""
    link = FakeLink(credits=20, weights=[1])
    link.published_version = 1
    evaluation = ActorEvaluation(metrics, every=10, episodes=2, seed=500, sampled=False)
    actor = make_actor(tmp_path, metrics, link, evaluation=evaluation)
    seeds: list[int] = []
    reset = actor.rollout.environment.reset
    actor.rollout.environment.reset = (  # type: ignore[method-assign]
        lambda seed: (seeds.append(seed), reset(seed))[1]
    )
    began = time.monotonic()
    actor.run(lambda: len(link.steps) >= 40 or time.monotonic() > began + 60)
    assert len(link.trained) == 20, "all of the credit, and no more"
    evaluated = [step for step in link.steps if step.purpose is Purpose.EVALUATION]
    assert len(evaluated) == 20
    assert seeds[2:4] == [510, 511]
    assert seeds[6:8] == [520, 521]
    records = read_metrics(tmp_path / "run").evals
    assert [(r.step, r.episodes, r.version) for r in records] == [(10, 2, 1), (20, 2, 1)]


def test_the_robot_is_closed_first_and_an_error_there_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Link and operator were once closed before the robot, and an error there skipped it."""
    from robot_rl.commands import actor_process
    from robot_rl.commands.child_config import ActorConfig
    from robot_rl.testing.wire_harness import WireHarness

    order: list[str] = []
    cfg = load_config(["env=gym", "env.id=Pendulum-v1", "agent=sac", f"run={tmp_path}/run"])
    with WireHarness(tmp_path) as wire:
        from robot_rl.runtime.rundir import RunDir

        folder = RunDir(tmp_path / "run")
        env = actor_process.make_env(cfg)
        folder.create(cfg, env.spec)
        closed = env.close

        def close() -> None:
            order.append("robot")
            closed()

        monkeypatch.setattr(env, "close", close)
        monkeypatch.setattr(actor_process, "make_env", lambda *_, **__: env)
        operator = FakeOperator([], closing=OSError("unplugged"))
        operator_close = operator.close
        monkeypatch.setattr(
            operator, "close", lambda: (order.append("operator"), operator_close())[1]
        )
        monkeypatch.setattr(actor_process, "make_operator", lambda *_: operator)
        link_close = actor_process.ActorLink.close
        monkeypatch.setattr(
            actor_process.ActorLink,
            "close",
            lambda link: (order.append("link"), link_close(link))[1],
        )
        config = ActorConfig(str(folder.path), 0.0, runtime_dir=str(wire.runtime), actor="actor-0")
        with pytest.raises(OSError, match="unplugged"):
            actor_process.run_actor(config, lambda: True)
    assert order == ["robot", "operator", "link"]
