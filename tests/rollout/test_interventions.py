"""From hands on to both pools: what is recorded of an intervention, and what is learned from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.replay import Replay
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.rollout.sinks import DatasetSink
from robot_rl.runtime.record import ScriptedPolicy
from robot_rl.sampling import Interventions, PoolName
from robot_rl.testing.fake_operators import FakeOperator, sample_of
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Array, Event, OperatorSample, Source

HAND = sample_of([0, 0.5, 0, 0, 0, 0, np.nan])
AWAY = np.array([-1, 0, 0.1, 0, 0, 0, 1], np.float32)
SUCCESS, FAILURE = sample_of(None, Event.SUCCESS), sample_of(None, Event.FAILURE)
TWICE: list[OperatorSample | None] = [None, None, HAND, HAND, HAND, None, HAND, None]
"""Readings of eight steps, of which a person chooses 3, 4, 5 and 7."""


def log_of(path: Path, *episodes: Sequence[OperatorSample | None]) -> RobotEnv:
    """Episodes of an actor whose policy goes away from the goal, with these readings."""
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=50, tolerance=1e-9))
    writer = LogWriter.create(path, env.spec, codec="raw")
    sink = DatasetSink(writer, "actor-0", 1)
    operator = FakeOperator([reading for readings in episodes for reading in readings])
    rollout = Rollout(env, Inline(ScriptedPolicy(lambda: AWAY)), operator, sink=sink, actor="a")
    for seed, _ in enumerate(episodes):
        rollout.episode(seed)
        sink.keep()
    sink.close()
    return env


def replay_of(env: RobotEnv, path: Path, interventions: Interventions = "all") -> Replay:
    pools: tuple[PoolName, ...] = ("online", "demo", "intervention")
    replay = Replay(env.spec, 200, streams=1, pools=pools, interventions=interventions)
    with LogReader(path) as reader:
        for chunk in reader.chunks():
            replay.extend(chunk.header, chunk.records)
    return replay


def drawn(replay: Replay, pool: PoolName) -> dict[bytes, tuple[Array, Array]]:
    """Every transition of a pool: by its next observation, the observation and the action."""
    batch = replay.sample(2000, np.random.default_rng(0), pool=pool)
    rows = zip(batch.next_obs["state"], batch.obs["state"], batch.action, strict=True)
    return {after.tobytes(): (before.copy(), action.copy()) for after, before, action in rows}


def test_records_say_who_chose_and_in_which_intervention(tmp_path: Path) -> None:
    log_of(tmp_path / "log", [*TWICE, SUCCESS])
    (episode,) = read_episodes(tmp_path / "log")
    steps = episode.records[1:]
    r, h = Source.RANDOM, Source.HUMAN
    assert steps["source"].tolist() == [r, r, h, h, h, r, h, r, r]
    assert steps["intervention_id"].tolist() == [0, 0, 1, 1, 1, 0, 2, 0, 0]
    by_hand = steps["source"] == h
    np.testing.assert_allclose(steps["human"][by_hand][:, 1], 0.5)
    assert np.isnan(steps["human"][~by_hand]).all()
    np.testing.assert_allclose(steps["proposed"], np.tile(AWAY, (9, 1)))
    np.testing.assert_allclose(steps["action"][by_hand][:, :3], [[0, 0.5, 0]] * 4, atol=1e-6)


def test_interventions_are_in_both_pools_with_their_true_next_observations(tmp_path: Path) -> None:
    """A peer takes the next stored state, which across an edge is another episode's (lerobot)."""
    env = log_of(tmp_path / "log", [*TWICE, SUCCESS], [None, HAND, HAND, FAILURE])
    replay = replay_of(env, tmp_path / "log")
    records = [episode.records for episode in read_episodes(tmp_path / "log")]
    truth = {
        rows["obs.state"][i + 1].tobytes(): (rows["obs.state"][i], rows["action"][i + 1])
        for rows in records
        for i in range(len(rows) - 1)
    }
    by_hand = {
        rows["obs.state"][i].tobytes()
        for rows in records
        for i in range(1, len(rows))
        if rows["source"][i] == Source.HUMAN
    }
    found = {name: drawn(replay, name) for name in ("online", "demo", "intervention")}
    assert found["online"].keys() == truth.keys()
    assert len(truth) == 9 + 4
    assert found["demo"].keys() == found["intervention"].keys() == by_hand
    assert len(by_hand) == 6
    for pool in found.values():
        for after, (before, action) in pool.items():
            np.testing.assert_array_equal(before, truth[after][0])
            np.testing.assert_array_equal(action, truth[after][1])


@pytest.mark.parametrize(
    ("which", "by_then", "in_all"), [("all", [3, 6, 6], 7), ("success", [0, 0, 3], 3)]
)
def test_only_those_of_successful_episodes_where_asked_for(
    which: Interventions, by_then: list[int], in_all: int, tmp_path: Path
) -> None:
    """Members from the record on that decides it, not before: the log alone decides."""
    failed = [HAND, HAND, HAND, FAILURE]
    env = log_of(tmp_path / "log", failed, [None, HAND, HAND, HAND, SUCCESS], [HAND, FAILURE])
    replay = replay_of(env, tmp_path / "log", which)
    first, second, _ = np.cumsum([len(e.records) for e in read_episodes(tmp_path / "log")])
    assert [replay.size("demo", int(n)) for n in (first, second - 1, second)] == by_then
    assert replay.size("demo") == in_all
    assert replay.size("online") == 4 + 5 + 2
