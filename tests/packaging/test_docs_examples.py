"""The examples of docs/extending.md, copied to an empty folder and run as a reader would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder with the examples."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    return folder


def run(folder: Path, *words: str) -> str:
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def robot_rl(folder: Path, verb: str, *words: str) -> dict[str, object]:
    command = ("-m", "robot_rl.cli", verb, "--json", "--config-dir", "my_configs", *words)
    result: dict[str, object] = json.loads(run(folder, *command))
    return result


def test_the_page_names_every_example() -> None:
    named = set(re.findall(r"\]\(examples/([^)]+)\)", (DOCS / "extending.md").read_text()))
    files = [p for p in (DOCS / "examples").rglob("*") if p.suffix in (".py", ".yaml")]
    there = {str(p.relative_to(DOCS / "examples")) for p in files} - {"my_lab/__init__.py"}
    assert named == there


def test_an_environment_of_ones_own_from_check_to_evaluation(lab: Path) -> None:
    words = [
        "steps=60", "agent.replay.warmup_steps=20", "agent.replay.batch_size=16",
        "agent.replay.utd=1", "agent.learner.compile=false", "agent.learner.hidden=[16]",
        "evaluation.episodes=1", "console=false",
    ]  # fmt: skip
    printed = run(lab, "own_environment.py", *words)
    assert "nothing is wrong" in printed
    assert "10 demonstrations" in printed
    assert "runs/puck, policy after 60 environment steps, 10 episodes" in printed
    assert (lab / "runs/puck/evaluation.mp4").exists()


def test_its_policy_demonstrates_by_command_too(lab: Path) -> None:
    words = ("--by", "my_lab.puck.policy", "env=gym", "env.id=my_lab.puck:my_lab/Puck-v0")
    told = robot_rl(lab, "record", "--out", "demos/more", "--episodes", "5", *words)
    assert (told["episodes"], told["discarded"]) == (5, 0)


def test_robot_and_algorithm_pass_the_conformance_suites(lab: Path) -> None:
    run(lab, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_stage.py", "test_bc.py")


def test_a_variant_records_the_task(lab: Path) -> None:
    words = ("--out", "demos/soft", "--episodes", "1", "robot=soft_fr3", "task=hover")
    assert robot_rl(lab, "record", *words)["episodes"] == 1


def test_robot_task_and_algorithm_train_together(lab: Path) -> None:
    summary = robot_rl(
        lab,
        "train",
        "task=hover",
        "robot=stage",
        "agent=my_bc",
        "steps=120",
        "demos.episodes=5",
        "evaluation.episodes=2",
        "evaluation.video_episodes=0",
        "run=runs/hover",
    )
    assert summary["finished"] is True
    assert summary["updates"] == 480
