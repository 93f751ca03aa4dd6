"""Whole runs: as many random steps as configured over all actors; rounds under one version each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from test_train import TINY, train

from robot_rl.data.log_reader import LogReader
from robot_rl.types import Array, Source
from robot_rl.wire.record import Kind


def steps_of(run: Path) -> Array:
    rows = np.concatenate([chunk.records for chunk in LogReader(run / "log").chunks()])
    steps: Array = rows[rows["kind"] == Kind.STEP]
    return steps


def test_two_actors_share_the_warm_up_and_a_warm_start_has_none(tmp_path: Path) -> None:
    words = [*TINY, "evaluation.video_episodes=0", "steps=100"]
    assert train(tmp_path, *words, "actors=2", "run=first").returncode == 0
    rows = steps_of(tmp_path / "first")
    random = rows["source"] == Source.RANDOM
    assert random[:40].all(), "warmup_steps=40"
    assert not random[40:].any()
    again = train(tmp_path, *words, "run=second", "learner.warm_start.from=first")
    assert again.returncode == 0, again.stderr
    rows = steps_of(tmp_path / "second")
    assert len(rows) == 100
    assert not (rows["source"] == Source.RANDOM).any()
    assert (rows["policy_version"][:40] == 1).all()


def test_each_round_is_acted_by_one_version(tmp_path: Path) -> None:
    words = [
        "agent=sac",
        "agent.schedule._target_=robot_rl.runtime.schedule.Rounds",
        "+agent.schedule.round_steps=25",
        "+agent.schedule.blocks=3",
    ]
    done = train(tmp_path, *TINY, "evaluation.video_episodes=0", *words, "steps=75", "run=run")
    assert done.returncode == 0, done.stderr
    versions = steps_of(tmp_path / "run")["policy_version"]
    assert versions.tolist() == np.repeat([1, 2, 3], 25).tolist()
