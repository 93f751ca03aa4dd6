"""What is sampled below a log position is a function of the log below it; horizons and returns
against a plain reference of Python lists; evaluation episodes are in no pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from log_streams import SPEC, chunk_header, episode, random_stream
from test_replay_reference import random_amendment

from robot_rl.data.amend import Amendment
from robot_rl.data.replay import END, Replay
from robot_rl.data.sampler import Sampler, replay_for
from robot_rl.errors import DataError
from robot_rl.sampling import PoolName, PoolShare, Sampling
from robot_rl.types import Batch, Purpose, Source

POOLS: tuple[PoolName, ...] = ("online", "demo", "success", "intervention")
GAMMA = 0.9


def wanting(*, returns: bool, horizon: int = 4) -> Sampling:
    pools = tuple(PoolShare(name, 0.25) for name in POOLS)
    return Sampling(
        16, 2, pools, history=2, horizon=horizon, discount=GAMMA, reward_scale=2.0,
        reward_shift=-0.5, return_to_go=returns,
    )  # fmt: skip


def log_of(seed: int) -> list[dict[str, Any]]:
    """Chunks and amendments in log order; some amendments come long after their episode."""
    rng = np.random.default_rng(seed)
    events, chunks = [], random_stream(rng, actors=2, episodes=30)
    for index, chunk in enumerate(chunks):
        events.append(chunk)
        if rng.random() < 0.3:
            about = chunks[int(rng.integers(max(0, index - 8), index + 1))]
            at = chunk["position"] + len(chunk["rows"])
            amendment = random_amendment(rng, about, at)
            if rng.random() < 0.3:
                number = int(about["rows"]["episode"][0])
                amendment = Amendment(
                    "relabel", about["actor"], about["epoch"], number, success=1, position=at
                )
            events.append({"amendment": amendment})
    return events


class Fed:
    """A replay and how much of a log it has been given."""

    def __init__(self, wants: Sampling, capacity: int, events: list[dict[str, Any]]) -> None:
        self.replay = replay_for(wants, SPEC, capacity=capacity, streams=2, datasets={})
        self.events, self.amended = events, 0

    def read(self, upper: int) -> None:
        """All of the log below `upper` that is not there yet; chunks are cut there."""
        amendments = [event["amendment"] for event in self.events if "amendment" in event]
        for event in self.events:
            if "rows" not in event:
                continue
            rows, at = event["rows"], event["position"]
            rows = rows[max(0, self.replay.position - at) : max(0, upper - at)]
            if len(rows):
                at = int(rows["obs.state"][0, 0])
                self.replay.extend(chunk_header(rows, at, event["actor"], event["epoch"]), rows)
        while self.amended < len(amendments) and amendments[self.amended].position < upper:
            self.replay.amend(amendments[self.amended])
            self.amended += 1


def same(one: Batch, two: Batch) -> None:
    for name in ("action", "reward", "mask", "discount", "demo", "valid", "return_to_go"):
        ours, theirs = getattr(one, name), getattr(two, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
    np.testing.assert_array_equal(one.obs["state"], two.obs["state"])
    np.testing.assert_array_equal(one.next_obs["state"], two.next_obs["state"])


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("capacity", [60, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_a_sample_is_a_function_of_the_log_below_upper(
    seed: int, capacity: int, returns: bool
) -> None:
    """One replay has read just so far, the other as far ahead as it may: all is equal, labels and
    memberships that later records decide included."""
    wants, events = wanting(returns=returns), log_of(seed)
    exact, ahead = Fed(wants, capacity, events), Fed(wants, capacity, events)
    total = max(e["position"] + len(e["rows"]) for e in events if "rows" in e)
    compared = 0
    for upper in range(10, total, 11):
        exact.read(upper)
        ahead.read(min(total, upper + 200))
        batches = []
        for fed in (exact, ahead):
            try:
                batches.append(
                    Sampler(fed.replay, wants).sample(
                        np.random.default_rng(upper), upper, upper // 3
                    )
                )
            except DataError:
                batches.append(None)
        one, two = batches
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            same(one, two)
            compared += 1
    assert compared > 10


def plain_chunk(
    rows: np.ndarray, at: int, upper: int, horizon: int, scale: float, shift: float
) -> dict[str, Any]:
    """What the transition in record `at` of one actor's unbroken log gives, step by step."""
    actions, valid, reward, factor = [], [], 0.0, 1.0
    place, cut = at, False
    mask = 1.0
    for _ in range(horizon):
        if not cut:
            actions.append(rows["action"][place])
            valid.append(True)
            reward += factor * (scale * rows["reward"][place] + shift)
            factor *= GAMMA
            last = place
            ends = bool(rows["terminated"][place] or rows["truncated"][place])
            mask = 1.0 - float(rows["terminated"][place])
            place += 1
            cut = ends or place >= upper
        else:
            actions.append(actions[-1])
            valid.append(mask == 0.0)
    return {
        "action": np.array(actions), "valid": np.array(valid), "reward": reward, "mask": mask,
        "discount": factor, "next": last,
    }  # fmt: skip


@pytest.mark.parametrize("horizon", [2, 4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_horizons_equal_a_plain_reference(seed: int, horizon: int) -> None:
    """Random episodes that end in success, in failure, by their time limit or not at all."""
    rng, blocks, sequence = np.random.default_rng(seed), [], 0
    for number in range(25):
        end = str(rng.choice(["terminated", "truncated"]))
        block = episode(int(rng.integers(1, 9)), number=number, sequence=sequence, end=end, rng=rng)
        blocks.append(block)
        sequence += len(block)
    rows = np.concatenate(blocks)
    rows["obs.state"][:, 0] = np.arange(len(rows))
    replay = Replay(SPEC, 1000, reward=(2.0, -0.5))
    replay.extend(chunk_header(rows, 0), rows)
    upper = len(rows) - 3
    batch = replay.sample(400, rng, upper=upper, horizon=horizon, gamma=GAMMA)
    assert batch.valid is not None
    seen = {"padded": 0, "cut": 0}
    for i in range(400):
        at = int(batch.obs["state"][i, 0]) + 1
        expected = plain_chunk(rows, at, upper, horizon, 2.0, -0.5)
        np.testing.assert_array_equal(batch.action[i], expected["action"])
        np.testing.assert_array_equal(batch.valid[i], expected["valid"])
        assert batch.reward[i] == pytest.approx(expected["reward"], rel=1e-5, abs=1e-5)
        assert batch.discount[i] == pytest.approx(expected["discount"], rel=1e-5)
        assert batch.mask[i] == expected["mask"]
        assert batch.next_obs["state"][i, 0] == expected["next"]
        seen["padded"] += expected["mask"] == 0.0 and at + horizon > expected["next"] + 1
        seen["cut"] += not expected["valid"].all()
    assert min(seen.values()) > 10


def test_returns_to_go_are_those_of_episodes_that_have_ended() -> None:
    rows = np.concatenate([episode(4), episode(5, number=1, sequence=5), episode(3, number=2,
                           sequence=11, end="")])  # fmt: skip
    rows["obs.state"][:, 0] = np.arange(len(rows))
    rows["reward"] = 1.0
    wants = Sampling(64, 1, discount=0.5, return_to_go=True)
    replay = replay_for(wants, SPEC, capacity=100, streams=1, datasets={})
    replay.extend(chunk_header(rows, 0), rows)
    found = {}
    batch = Sampler(replay, wants).sample(np.random.default_rng(0), upper=10)
    assert batch.return_to_go is not None
    found = dict(zip(batch.obs["state"][:, 0].astype(int), batch.return_to_go, strict=True))
    assert found == {0: 1.875, 1: 1.75, 2: 1.5, 3: 1.0}, "the second episode ends at position 10"
    assert replay.size("online", 11) == 9
    replay.amend(Amendment("relabel", "a", 1, 0, step=2, reward=5.0, position=12))
    assert replay.size("online", 13) == 9
    batch = Sampler(replay, wants).sample(np.random.default_rng(0), upper=13)
    assert batch.return_to_go is not None
    found = dict(zip(batch.obs["state"][:, 0].astype(int), batch.return_to_go, strict=True))
    assert (found[0], found[1]) == (1.0 + 0.5 * (5.0 + 0.75), 5.75)


def test_success_is_decided_by_the_end_and_by_second_thoughts() -> None:
    rows = np.concatenate([episode(3), episode(3, number=1, sequence=4, end="truncated")])
    replay = Replay(SPEC, 100, pools=("online", "success"))
    replay.extend(chunk_header(rows, 0), rows)
    assert [replay.size("success", upper) for upper in (3, 4, 8)] == [0, 3, 3]
    replay.amend(Amendment("relabel", "a", 1, 1, success=1, position=8))
    replay.amend(Amendment("relabel", "a", 1, 0, success=0, position=9))
    assert [replay.size("success", upper) for upper in (8, 9, 10)] == [3, 6, 3]
    replay.amend(Amendment("discard", "a", 1, 1, position=10))
    assert replay.size("success", 11) == 0


def test_an_evaluation_episode_is_in_no_pool() -> None:
    rows = np.concatenate([episode(3), episode(4, number=1, sequence=4)])
    rows["source"][1:] = Source.HUMAN
    rows["purpose"][:4] = Purpose.EVALUATION
    replay = Replay(SPEC, 100, pools=POOLS)
    replay.extend(chunk_header(rows, 0), rows)
    assert {pool: replay.size(pool, END) for pool in POOLS} == dict.fromkeys(POOLS, 4)
