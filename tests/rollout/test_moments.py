"""A rollout leaves each moment in the latest-value slot: what acted, how it goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.envs.robot_env import RobotEnv
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.moments import Moments
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.record import ScriptedPolicy
from robot_rl.testing.fake_operators import FakeOperator, sample_of
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Purpose, Source
from robot_rl.wire.latest import LatestReader
from robot_rl.wire.latest_layout import Latest


def test_each_moment_is_there_with_who_acts(tmp_path: Path) -> None:
    environment = RobotEnv(fake_bundle(), FakeTask())
    seen: list[Latest] = []
    reader = LatestReader(tmp_path, "actor-0")
    assert reader.read() is None
    assert reader.spec is None
    moments = Moments(tmp_path, "actor-0", environment.spec)
    rollout = Rollout(
        environment,
        Inline(ScriptedPolicy(lambda: np.full(7, 0.25, np.float32))),
        FakeOperator([None, sample_of(0.5), None]),
        moments=moments,
        proposal_source=Source.DEMO,
    )

    def proceed(episode: Episode) -> bool:
        latest = reader.read()
        assert latest is not None
        seen.append(latest)
        return episode.steps < 3

    rollout.episode(0, purpose=Purpose.EVALUATION, proceed=proceed)
    moments.close()
    moments.close()
    assert [latest.index for latest in seen] == [0, 1, 2, 3]
    assert [latest.action and latest.action.source for latest in seen] == [
        None,
        Source.DEMO,
        Source.HUMAN,
        Source.DEMO,
    ]
    assert seen[2].action is not None
    assert seen[2].action.human is not None
    assert seen[2].step.state is not None
    assert reader.spec == environment.spec
    assert {latest.purpose for latest in seen} == {Purpose.EVALUATION}
    assert np.isnan(seen[-1].success_rate)


def test_rates_are_of_whole_episodes(tmp_path: Path) -> None:
    environment = RobotEnv(fake_bundle(), FakeTask())
    step = environment.reset(0)
    moments, reader = Moments(tmp_path, "a", environment.spec), LatestReader(tmp_path, "a")
    rollout = Rollout(environment, Inline(ScriptedPolicy(environment.hold)), moments=moments)
    for index, (success, by_person) in enumerate(((1, 0), (0, 5), (-1, 1))):
        done = Episode(index, steps=10, success=success, human_steps=by_person, done=True)
        moments.begin(step, replace(done, done=False), 1)
        action = rollout._choose(None, None, rollout._events(None), environment.hold(), done)
        moments.step(step, action, None, done, 1)
    latest = reader.read()
    assert latest is not None
    assert latest.success_rate == pytest.approx(0.5)
    assert latest.intervention_rate == pytest.approx(6 / 30)
