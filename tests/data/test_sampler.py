"""Shares of pools in a block, and what sampling declares."""

from __future__ import annotations

import numpy as np
import pytest
from log_streams import SPEC, chunk_header, episode

from robot_rl.data.replay import Replay
from robot_rl.data.sampler import Sampler, pattern, replay_for, with_reward_scale
from robot_rl.errors import ConfigError, DataError
from robot_rl.sampling import PoolShare, Sampling, demos_and_online
from robot_rl.types import Source


def sampler(
    replay: Replay, *, batch_size: int, utd: int, demo_ratio: float = 0.5, **options: object
) -> Sampler:
    pools = demos_and_online(demo_ratio)
    return Sampler(replay, Sampling(batch_size, utd, pools, **options))  # type: ignore[arg-type]


def replay_of(*, online: bool, demos: bool) -> Replay:
    """Observations of demonstrations have a positive first value, online ones a negative."""
    replay = Replay(SPEC, 100, datasets={"demo": 11})
    rows = episode(10)
    if demos:
        rows["obs.state"][:, 0] = 1
        replay.add("demo", rows)
    if online:
        rows["obs.state"][:, 0] = -1
        replay.extend(chunk_header(rows, 0), rows)
    return replay


@pytest.mark.parametrize(("ratio", "demos"), [(0.5, 8), (0.25, 4), (0.0, 0), (1.0, 16)])
def test_every_slice_has_the_ratio(ratio: float, demos: int) -> None:
    drawn = sampler(replay_of(online=True, demos=True), batch_size=16, utd=5, demo_ratio=ratio)
    batch = drawn.sample(np.random.default_rng(0))
    is_demo = batch.obs["state"][:, 0].reshape(5, 16) > 0
    assert is_demo.sum(axis=1).tolist() == [demos] * 5
    assert len(batch.reward) == 80


def test_rows_are_spread_within_a_batch() -> None:
    assert pattern(8, [0.5, 0.5]).tolist() == [1, 0] * 4
    assert pattern(8, [0.25, 0.75]).tolist() == [1, 1, 1, 0] * 2
    assert (pattern(5, [0.5, 0.5]) == 0).sum() == 2
    assert np.bincount(pattern(16, [0.25, 0.25, 0.5])).tolist() == [4, 4, 8]


@pytest.mark.parametrize("pool", ["online", "demos"])
def test_the_other_pool_fills_in_for_an_empty_one(pool: str) -> None:
    replay = replay_of(online=pool == "online", demos=pool == "demos")
    batch = sampler(replay, batch_size=8, utd=2).sample(np.random.default_rng(0))
    assert (batch.obs["state"][:, 0] == (1 if pool == "demos" else -1)).all()


@pytest.mark.parametrize(("ratio", "asked"), [(0.0, 0), (0.5, 4), (0.25, 2), (1.0, 8)])
@pytest.mark.parametrize("source", [Source.POLICY, Source.RANDOM, Source.HUMAN])
def test_a_share_of_the_online_rows_has_the_proposal(
    ratio: float, asked: int, source: Source
) -> None:
    """Where a person chose, the policy's proposal was not tried: it must never come."""
    replay, shown, rows = Replay(SPEC, 100, datasets={"demo": 11}), episode(10), episode(10)
    shown["action"], shown["proposed"], shown["source"] = 0.25, 0.75, Source.DEMO
    rows["action"], rows["proposed"], rows["source"] = -0.25, -0.75, Source.POLICY
    rows["source"][1:] = source
    replay.add("demo", shown)
    replay.extend(chunk_header(rows, 0), rows)
    drawn = sampler(replay, batch_size=16, utd=3, proposed_ratio=ratio)
    action = drawn.sample(np.random.default_rng(0)).action[:, 0].reshape(3, 16)
    assert np.isin(action[:, 1::2], (0.25,) if source != Source.HUMAN else (0.25, -0.25)).all()
    expected = 0 if source == Source.HUMAN else asked
    assert (action[:, 0::2] == -0.75).sum(axis=1).tolist() == [expected] * 3
    assert (action[:, 0::2] == -0.25).sum(axis=1).tolist() == [8 - expected] * 3


def test_interventions_count_as_demonstrations() -> None:
    replay, rows = replay_of(online=False, demos=False), episode(10)
    rows["obs.state"][:, 0] = np.arange(11)
    rows["source"][4] = Source.HUMAN
    replay.extend(chunk_header(rows, 0), rows)
    batch = sampler(replay, batch_size=8, utd=4).sample(np.random.default_rng(0))
    shown = batch.obs["state"][:, 0].reshape(16, 2)
    assert (shown[:, 1] == 3).all()
    assert len(set(shown[:, 0])) > 3


def test_nothing_to_sample_is_an_error() -> None:
    drawn = sampler(replay_of(online=False, demos=False), batch_size=4, utd=1)
    with pytest.raises(DataError, match="nothing to sample"):
        drawn.sample(np.random.default_rng(0))


def test_the_same_generator_gives_the_same_block() -> None:
    drawn = sampler(replay_of(online=True, demos=True), batch_size=16, utd=2, n_step=3)
    first, again = (drawn.sample(np.random.default_rng(4)) for _ in range(2))
    assert first is not again
    assert first.reward.tobytes() == again.reward.tobytes()
    assert first.next_obs["state"].tobytes() == again.next_obs["state"].tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proposed_ratio": 1.5}, "proposed_ratio 1.5"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"utd": 0}, "utd=0"),
        ({"n_step": 0}, "n_step=0"),
        ({"n_step": 2, "horizon": 2}, "one of them above 1"),
        ({"pools": (PoolShare("demo", 0.4), PoolShare("online", 0.5))}, "add up to 0.9"),
        ({"pools": (PoolShare("validation", 1.0),)}, "none of them validation"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sampling(**({"batch_size": 4, "utd": 1} | options))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"demo_ratio 1\.5"):
        demos_and_online(1.5)


def test_pools_bring_their_weight_and_what_is_held_out_never_comes() -> None:
    pools = (PoolShare("prior", 0.25, weight=0.5), PoolShare("online", 0.75))
    wants = Sampling(8, 2, pools, reward_scale=2.0, reward_shift=1.0)
    rows, held = episode(10), episode(10)
    rows["reward"], held["obs.state"] = 3.0, 99.0
    replay = replay_for(
        wants, SPEC, capacity=100, streams=1, datasets={"prior": 11, "validation": 11}
    )
    replay.add("prior", rows)
    replay.add("validation", held)
    replay.extend(chunk_header(rows, 0), rows)
    batch = Sampler(replay, wants).sample(np.random.default_rng(0))
    assert batch.weight is not None
    assert batch.weight.tolist() == [1.0, 1.0, 1.0, 0.5] * 4
    assert batch.demo is not None
    assert not batch.demo.any()
    assert (batch.reward == 7.0).all()
    assert (batch.obs["state"] != 99.0).all()
    kept = replay.sample(9, np.random.default_rng(0), pool="validation")
    assert (kept.obs["state"] == 99.0).all()


def test_the_reward_scale_comes_from_the_largest_discounted_return_of_whole_episodes() -> None:
    wants = Sampling(8, 2, discount=0.5, reward_scale=None)
    costly, short = episode(3), episode(1)
    costly["reward"], short["reward"] = [99.0, -4.0, -2.0, -8.0], [99.0, 3.0]  # first: no step
    found = with_reward_scale(wants, [short, costly]).reward_scale
    assert found == pytest.approx(1 / 8)  # of -8; -2 - 8/2 = -6; -4 - 6/2 = -7
    costly["reward"][1:] = [0.0, 0.0, 1.0]
    assert with_reward_scale(wants, [costly]).reward_scale == 1.0
    assert with_reward_scale(wants, []).reward_scale == 1.0
    told = Sampling(8, 2, reward_scale=7.0)
    assert with_reward_scale(told, [costly]) is told
