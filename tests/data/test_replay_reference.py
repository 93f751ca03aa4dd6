"""Replay against a naive reference made of Python lists: random streams, eviction, amendments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from log_streams import SPEC, chunk_header, episode, random_stream

from robot_rl.data.amend import Amendment
from robot_rl.data.replay import Replay
from robot_rl.types import Source
from robot_rl.wire.record import Kind

GAMMA = 0.9


class Reference:
    """The same rules, one record a dictionary, no arrays and no eviction but by counting."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.records: list[dict[str, Any]] = []
        self.amendments: list[Amendment] = []
        self._cached: tuple[tuple[int, int, int], dict[int, dict[str, Any]]] | None = None

    def extend(self, actor: str, epoch: int, rows: np.ndarray, position: int) -> None:
        for offset, row in enumerate(rows):
            self.records.append(
                {
                    "at": position + offset,
                    "actor": actor,
                    "epoch": epoch,
                    "kind": int(row["kind"]),
                    "episode": int(row["episode"]),
                    "sequence": int(row["sequence"]),
                    "step": int(row["step"]),
                    "reward": float(row["reward"]),
                    "terminated": bool(row["terminated"]),
                    "truncated": bool(row["truncated"]),
                    "human": int(row["source"]) == Source.HUMAN,
                }
            )

    def chains(self, upper: int) -> dict[int, dict[str, Any]]:
        """Position → record with "before" and "after" (positions or None) and "valid"."""
        key = upper, len(self.records), len(self.amendments)
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self._chains(upper)
        return self._cached[1]

    def _chains(self, upper: int) -> dict[int, dict[str, Any]]:
        seen = [dict(record) for record in self.records if record["at"] < upper]
        by_actor: dict[str, list[dict[str, Any]]] = {}
        for record in seen:
            record.update(before=None, after=None, valid=False)
            line = by_actor.setdefault(record["actor"], [])
            if line and self._follows(line[-1], record):
                record.update(before=line[-1]["at"], valid=True)
            line.append(record)
        for amendment in self.amendments:
            if amendment.position < upper:
                self._amend(by_actor.get(amendment.actor, []), amendment)
        found = {record["at"]: record for record in seen}
        for record in seen:
            if record["valid"] and not found[record["before"]]["terminated"]:
                found[record["before"]]["after"] = record["at"]
        return found

    @staticmethod
    def _follows(before: dict[str, Any], record: dict[str, Any]) -> bool:
        return (
            record["kind"] == Kind.STEP
            and before["epoch"] == record["epoch"]
            and before["episode"] == record["episode"]
            and before["sequence"] + 1 == record["sequence"]
            and not before["terminated"]
            and not before["truncated"]
        )

    @staticmethod
    def _amend(line: list[dict[str, Any]], amendment: Amendment) -> None:
        mine = [
            r for r in line if (r["epoch"], r["episode"]) == (amendment.epoch, amendment.episode)
        ]
        if amendment.action == "relabel":
            kept = [r for r in mine if r["valid"]]
            if amendment.step is None:
                kept = [r for r in kept if r["at"] < amendment.position][-1:]
            else:
                kept = [r for r in kept if r["step"] == amendment.step]
            for record in kept:
                if amendment.reward is not None:
                    record["reward"] = amendment.reward
                if amendment.terminated is not None:
                    record["terminated"] = amendment.terminated
            return
        for record in mine:
            first, last = amendment.first_step or 1, amendment.last_step or 10**9
            inside = amendment.action == "trim" and first <= record["step"] <= last
            if record["valid"] and not inside:
                record["valid"] = False

    def transitions(self, upper: int, pool: str, history: int) -> dict[int, int]:
        """Position of the observation → position of its transition's record."""
        found = self.chains(upper)
        per_actor: dict[str, list[int]] = {}
        for record in found.values():
            per_actor.setdefault(record["actor"], []).append(record["at"])
        result = {}
        for line in per_actor.values():
            kept = line[-self.capacity :]
            if len(line) > self.capacity:  # the whole history window must still be there
                kept = kept[history:]
            for at in kept:
                record = found[at]
                if record["valid"] and (pool == "online" or record["human"]):
                    result[record["before"]] = at
        return result

    def sums(self, at: int, upper: int, n_step: int) -> tuple[float, float, float, int]:
        """Reward, mask, discount and last record of the n-step return from the record `at`."""
        found = self.chains(upper)
        record = found[at]
        total, discount = record["reward"], GAMMA
        for _ in range(n_step - 1):
            if record["after"] is None or not found[record["after"]]["valid"]:
                break
            record = found[record["after"]]
            total += discount * record["reward"]
            discount *= GAMMA
        return total, float(not record["terminated"]), discount, record["at"]

    def window(self, at: int, upper: int, history: int) -> list[int]:
        found = self.chains(upper)
        line = [at]
        while len(line) < history:
            record = found[line[0]]
            line.insert(0, line[0] if not record["valid"] else record["before"])
        return line


def random_amendment(rng: np.random.Generator, chunk: dict[str, Any], position: int) -> Amendment:
    row = chunk["rows"][int(rng.integers(len(chunk["rows"])))]
    base = Amendment(
        "discard", chunk["actor"], chunk["epoch"], int(row["episode"]), position=position
    )
    kind = rng.integers(4)
    if kind == 0:
        return base
    if kind == 1:
        first = int(rng.integers(1, 4))
        return replace(base, action="trim", first_step=first, last_step=first + 2)
    step = None if kind == 2 else int(rng.integers(1, 6))
    return replace(
        base, action="relabel", step=step, reward=float(rng.normal()), terminated=bool(kind == 2)
    )


def check(replay: Replay, reference: Reference, upper: int, seed: int, n: int, history: int) -> int:
    """Compares everything that a sample shows; gives the number of transitions compared."""
    checked = 0
    for pool in ("online", "demo"):
        expected = reference.transitions(upper, pool, history)
        assert replay.size(pool, upper, history=history) == len(expected)
        if not expected:
            continue
        rng = np.random.default_rng(seed)
        batch = replay.sample(
            30 * len(expected),
            rng,
            pool=pool,
            upper=upper,
            n_step=n,
            gamma=GAMMA,
            history=history,
        )
        states = batch.obs["state"][..., 0].reshape(len(batch.mask), history).astype(int)
        following = batch.next_obs["state"][..., 0].reshape(states.shape).astype(int)
        assert set(states[:, -1]) == set(expected), "draws must reach every valid transition"
        _, firsts = np.unique(states[:, -1], return_index=True)
        for i in firsts:
            reward, mask, discount, last = reference.sums(expected[states[i, -1]], upper, n)
            assert batch.reward[i] == pytest.approx(reward, rel=1e-5, abs=1e-6)
            assert (batch.mask[i], batch.discount[i]) == (mask, pytest.approx(discount, rel=1e-6))
            assert states[i].tolist() == reference.window(states[i, -1], upper, history)
            assert following[i].tolist() == reference.window(last, upper, history)
            checked += 1
    return checked


@pytest.mark.parametrize("seed", range(12))
def test_samples_agree_with_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    actors, capacity, slack = int(rng.integers(1, 4)), int(rng.integers(15, 60)), 8
    replay = Replay(SPEC, capacity * actors, streams=actors, slack=slack)
    reference = Reference(capacity)
    checked = 0
    for number, chunk in enumerate(random_stream(rng, actors, episodes=25)):
        header = chunk_header(chunk["rows"], chunk["position"], chunk["actor"], chunk["epoch"])
        replay.extend(header, chunk["rows"])
        reference.extend(chunk["actor"], chunk["epoch"], chunk["rows"], chunk["position"])
        if rng.random() < 0.1:
            amendment = random_amendment(rng, chunk, replay.position)
            replay.amend(amendment)
            reference.amendments.append(amendment)
        if number % 7 == 0:
            upper = replay.position - int(rng.integers(0, 2))
            history = int(rng.integers(1, 4))
            checked += check(replay, reference, upper, number, int(rng.integers(1, 5)), history)
    assert checked > 100


def test_a_sample_depends_on_the_log_below_upper_only() -> None:
    chunks = random_stream(np.random.default_rng(3), 2, episodes=40)
    exact, ahead = (Replay(SPEC, 80, streams=2, slack=32) for _ in range(2))
    fed = 0
    for chunk in chunks:
        header = chunk_header(chunk["rows"], chunk["position"], chunk["actor"], chunk["epoch"])
        exact.extend(header, chunk["rows"])
        upper = exact.position
        while fed < len(chunks) and ahead.position < upper + 12:
            more = chunks[fed]
            ahead.extend(
                chunk_header(more["rows"], more["position"], more["actor"], more["epoch"]),
                more["rows"],
            )
            fed += 1
        if upper < 30:
            continue
        ours, theirs = (
            replay.sample(64, np.random.default_rng(upper), upper=upper, n_step=3, history=2)
            for replay in (exact, ahead)
        )
        for name in ("reward", "mask", "discount", "action"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        np.testing.assert_array_equal(ours.obs["state"], theirs.obs["state"])
        np.testing.assert_array_equal(ours.next_obs["state"], theirs.next_obs["state"])


def test_a_relabelled_end_may_be_taken_back() -> None:
    rows = episode(5)
    rows["obs.state"][:, 0] = np.arange(6)
    replay = Replay(SPEC, 100)
    replay.extend(chunk_header(rows, 0), rows)
    base = Amendment("relabel", "a", 1, 0, step=2, terminated=True, position=6)

    def last_of_first_step() -> float:
        batch = replay.sample(100, np.random.default_rng(0), n_step=10)
        return float(batch.next_obs["state"][batch.obs["state"][:, 0] == 0][0, 0])

    assert last_of_first_step() == 5
    replay.amend(base)
    assert last_of_first_step() == 2
    replay.amend(replace(base, terminated=False))
    assert last_of_first_step() == 5
