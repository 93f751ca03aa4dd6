"""A run trains and is evaluated through a driver process, and its policy is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CLI = [sys.executable, "-m", "robot_rl.cli"]
DRIVER = "robot.driver={pacing: stepped}"
TINY = [
    "task=reach",
    "steps=60",
    "agent.replay.warmup_steps=40",
    "agent.replay.batch_size=16",
    "agent.replay.utd=2",
    "agent.learner.hidden=[32,32]",
    "agent.learner.compile=false",
    "evaluation.every=60",
    "evaluation.episodes=2",
    "evaluation.video_episodes=0",
    "demos.episodes=2",
]


def robot_rl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose robots lived in driver processes."""
    folder = tmp_path_factory.mktemp("deploy")
    done = robot_rl(folder, "train", "--json", DRIVER, "run=run", *TINY)
    assert done.returncode == 0, done.stderr
    return folder


def deployed(folder: Path, *words: str) -> dict[str, object]:
    before = set((folder / "run" / "deploy").glob("*.json"))
    done = robot_rl(folder, "deploy", "run", "--episodes", "2", *words)
    assert done.returncode == 0, done.stderr
    (new,) = set((folder / "run" / "deploy").glob("*.json")) - before
    report: dict[str, object] = json.loads(new.read_text())
    return report


def test_a_driver_process_changes_nothing_that_is_learned(trained: Path) -> None:
    """The run's policy judged in process and in a driver process: the same episodes."""
    through = robot_rl(trained, "eval", "--json", "--episodes", "3", "run")
    assert through.returncode == 0, through.stderr
    here = deployed(trained, "robot=fr3_sim", "--speed", "1")
    there = json.loads(through.stdout)["per_episode"]
    assert [item["length"] for item in there[:2]] == here["lengths"]
    assert [item["return"] for item in there[:2]] == here["returns"]


def test_the_first_time_is_slow(trained: Path) -> None:
    first = deployed(trained, "robot=panda_sim")
    assert first["speed"] == 0.3
    assert "limit_velocity" in str(first["plant"])
    assert first["episodes"] == 2
    low, high = first["interval_95"]  # type: ignore[misc]
    assert 0.0 <= low <= high <= 1.0


def test_what_a_deployment_may_not_change(trained: Path) -> None:
    for word in ("task=pick_cube", "env.rate_hz=5"):
        done = robot_rl(trained, "deploy", "run", "robot=fr3_sim", word)
        assert done.returncode == 2
        assert "a deployment keeps the run's" in done.stderr
    done = robot_rl(trained, "deploy", "run", "robot=fr3")
    assert done.returncode == 2
    assert "robot.address" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
