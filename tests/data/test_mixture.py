"""Symmetric sampling."""

from __future__ import annotations

import numpy as np
import pytest
from log_streams import SPEC, chunk_header, episode

from robot_rl.data.mixture import Mixture, demo_pattern
from robot_rl.data.replay import Replay
from robot_rl.errors import ConfigError, DataError
from robot_rl.types import Source


def replay_of(*, online: bool, demos: bool) -> Replay:
    """Observations of demonstrations have a positive first value, online ones a negative."""
    replay = Replay(SPEC, 100, demo_rows=11)
    rows = episode(10)
    if demos:
        rows["obs.state"][:, 0] = 1
        replay.add_demos(rows)
    if online:
        rows["obs.state"][:, 0] = -1
        replay.extend(chunk_header(rows, 0), rows)
    return replay


@pytest.mark.parametrize(("ratio", "demos"), [(0.5, 8), (0.25, 4), (0.0, 0), (1.0, 16)])
def test_every_slice_has_the_ratio(ratio: float, demos: int) -> None:
    mixture = Mixture(replay_of(online=True, demos=True), batch_size=16, utd=5, demo_ratio=ratio)
    batch = mixture.sample(np.random.default_rng(0))
    is_demo = batch.obs["state"][:, 0].reshape(5, 16) > 0
    assert is_demo.sum(axis=1).tolist() == [demos] * 5
    assert len(batch.reward) == 80


def test_rows_are_spread_within_a_batch() -> None:
    assert demo_pattern(8, 0.5).tolist() == [False, True] * 4
    assert demo_pattern(8, 0.25).tolist() == [False, False, False, True] * 2
    assert demo_pattern(5, 0.5).sum() == 2


@pytest.mark.parametrize("pool", ["online", "demos"])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_the_other_pool_fills_in_for_an_empty_one(pool: str, ratio: float) -> None:
    replay = replay_of(online=pool == "online", demos=pool == "demos")
    batch = Mixture(replay, batch_size=8, utd=2, demo_ratio=ratio).sample(np.random.default_rng(0))
    assert (batch.obs["state"][:, 0] == (1 if pool == "demos" else -1)).all()


@pytest.mark.parametrize(("ratio", "asked"), [(0.0, 0), (0.5, 4), (0.25, 2), (1.0, 8)])
@pytest.mark.parametrize("source", [Source.POLICY, Source.RANDOM, Source.HUMAN])
def test_a_share_of_the_online_rows_has_the_proposal(
    ratio: float, asked: int, source: Source
) -> None:
    """Where a person chose, the policy's proposal was not tried: it must never come."""
    replay, shown, rows = Replay(SPEC, 100, demo_rows=11), episode(10), episode(10)
    shown["action"], shown["proposed"], shown["source"] = 0.25, 0.75, Source.DEMO
    rows["action"], rows["proposed"], rows["source"] = -0.25, -0.75, Source.POLICY
    rows["source"][1:] = source
    replay.add_demos(shown)
    replay.extend(chunk_header(rows, 0), rows)
    mixture = Mixture(replay, batch_size=16, utd=3, proposed_ratio=ratio)
    action = mixture.sample(np.random.default_rng(0)).action[:, 0].reshape(3, 16)
    assert np.isin(action[:, 1::2], (0.25,) if source != Source.HUMAN else (0.25, -0.25)).all()
    expected = 0 if source == Source.HUMAN else asked
    assert (action[:, 0::2] == -0.75).sum(axis=1).tolist() == [expected] * 3
    assert (action[:, 0::2] == -0.25).sum(axis=1).tolist() == [8 - expected] * 3


def test_interventions_count_as_demonstrations() -> None:
    replay, rows = replay_of(online=False, demos=False), episode(10)
    rows["obs.state"][:, 0] = np.arange(11)
    rows["source"][4] = Source.HUMAN
    replay.extend(chunk_header(rows, 0), rows)
    batch = Mixture(replay, batch_size=8, utd=4).sample(np.random.default_rng(0))
    shown = batch.obs["state"][:, 0].reshape(16, 2)
    assert (shown[:, 1] == 3).all()
    assert len(set(shown[:, 0])) > 3


def test_nothing_to_sample_is_an_error() -> None:
    mixture = Mixture(replay_of(online=False, demos=False), batch_size=4, utd=1)
    with pytest.raises(DataError, match="nothing to sample"):
        mixture.sample(np.random.default_rng(0))


def test_the_same_generator_gives_the_same_block() -> None:
    mixture = Mixture(replay_of(online=True, demos=True), batch_size=16, utd=2, n_step=3)
    first, again = (mixture.sample(np.random.default_rng(4)) for _ in range(2))
    assert first is not again
    assert first.reward.tobytes() == again.reward.tobytes()
    assert first.next_obs["state"].tobytes() == again.next_obs["state"].tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"demo_ratio": 1.5}, "demo_ratio 1.5"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"utd": 0}, "utd 0"),
        ({"n_step": 0}, "n_step 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixture(Replay(SPEC, 10), **({"batch_size": 4, "utd": 1} | options))
