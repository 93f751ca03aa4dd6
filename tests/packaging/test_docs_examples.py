"""The examples of docs/extending.md, written to an empty folder and run as a reader would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the page shows."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in FILE.findall(PAGE.read_text()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "my_lab" / "__init__.py").touch()
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


def test_the_page_shows_whole_files(lab: Path) -> None:
    shown = {str(path.relative_to(lab)) for path in lab.rglob("*.*") if path.is_file()}
    assert {"my_lab/hover.py", "my_lab/stage.py", "my_lab/bc.py"} <= shown
    assert {"test_stage.py", "test_bc.py"} <= shown
    assert len(list(lab.rglob("*.yaml"))) == 4


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
        "agent=bc",
        "steps=120",
        "demos.episodes=5",
        "evaluation.episodes=2",
        "evaluation.video_episodes=0",
        "run=runs/hover",
    )
    assert summary["finished"] is True
    assert summary["updates"] == 480
