"""Episodes told while they pass are those that a plain loop over every record finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from log_streams import chunk_header, episode, random_stream

from robot_rl.data.tally import EpisodeTally
from robot_rl.types import EpisodeSummary, Source
from robot_rl.wire.record import Kind


def plainly(chunks: list[dict[str, Any]]) -> list[tuple[int, EpisodeSummary]]:
    """Record by record: whole episodes and the log position of their last record."""
    found, running = [], dict[str, tuple[int, list[Any]]]()
    for chunk in chunks:
        actor, epoch = chunk["actor"], chunk["epoch"]
        for offset, row in enumerate(chunk["rows"]):
            if row["kind"] == Kind.START:
                running[actor] = (epoch, [row])
                continue
            life, rows = running.get(actor, (0, []))
            if not rows or life != epoch or row["sequence"] != rows[-1]["sequence"] + 1:
                running.pop(actor, None)
                continue
            rows.append(row)
            if row["terminated"] or row["truncated"]:
                del running[actor]
                steps = rows[1:]
                human = sum(int(step["source"] == Source.HUMAN) for step in steps)
                total = float(sum(float(step["reward"]) for step in steps))
                taken = sum(bool(step["spare"]) for step in steps)
                summary = EpisodeSummary(
                    actor,
                    int(row["episode"]),
                    len(steps),
                    total,
                    int(row["success"]),
                    taken,
                    human,
                )
                found.append((chunk["position"] + offset, summary))
    return found


def number_takeovers(chunks: list[dict[str, Any]]) -> None:
    """As `arbitrate` does: each run of human steps has the next number, also across episodes."""
    last = dict[tuple[str, int], tuple[bool, int]]()
    for chunk in chunks:
        for index in np.flatnonzero(chunk["rows"]["kind"] == Kind.STEP):
            row, key = chunk["rows"][index], (chunk["actor"], chunk["epoch"])
            held, number = last.get(key, (False, 0))
            human = row["source"] == Source.HUMAN
            number += human and not held
            chunk["rows"]["intervention_id"][index] = number if human else 0
            chunk["rows"]["spare"][index] = human and not held  # where one begins
            last[key] = human, number


@pytest.mark.parametrize("seed", range(8))
def test_random_streams(seed: int) -> None:
    chunks = random_stream(np.random.default_rng(seed), actors=3, episodes=25)
    number_takeovers(chunks)
    tally, told = EpisodeTally(), []
    for chunk in chunks:
        header = chunk_header(chunk["rows"], chunk["position"], chunk["actor"], chunk["epoch"])
        told += [(chunk["position"] + i, s) for i, s in tally.add(header, chunk["rows"])]
    expected = plainly(chunks)
    assert len(expected) > 20
    assert [(at, s.actor, s.episode, s.steps, s.success) for at, s in told] == [
        (at, s.actor, s.episode, s.steps, s.success) for at, s in expected
    ]
    for (_, mine), (_, theirs) in zip(told, expected, strict=True):
        assert mine.episode_return == pytest.approx(theirs.episode_return)
        assert (mine.human_steps, mine.interventions) == (theirs.human_steps, theirs.interventions)


def test_a_new_life_does_not_go_on_with_an_episode_of_the_old_one() -> None:
    tally, rows = EpisodeTally(), episode(4)
    assert list(tally.add(chunk_header(rows[:3], 0), rows[:3])) == []
    assert list(tally.add(chunk_header(rows[3:], 3, epoch=2), rows[3:])) == []
    ((index, summary),) = tally.add(chunk_header(rows, 5, epoch=2), rows)
    assert (index, summary.steps, summary.success) == (4, 4, 1)
