"""Standard output is one JSON document, whatever an environment prints and however it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from odd_envs import ODD

from robot_rl.commands.output import emit, json_alone


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    }
    command = [sys.executable, "-m", "robot_rl.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_an_environment_that_prints() -> None:
    done = run("check", "--json", f"env.id={ODD}", "env.kwargs.prints=true")
    assert json.loads(done.stdout)["name"] == ODD
    assert "a library's banner" in done.stderr
    assert "from C" in done.stderr


def test_a_refusal_is_json_too() -> None:
    done = run("check", "--json", f"env.id={ODD}", "env.kwargs.endless=true")
    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert "no time limit" in answer["error"]
    assert answer["exit_code"] == 2


CRASH = """
import robot_rl.commands.dataset as dataset
from robot_rl.cli import main
def run(options):
    print("half an answer")
    raise ZeroDivisionError
dataset.run = run
main(["dataset", "--json", "info", "x"])
"""


def test_a_crash_is_json_too() -> None:
    command = [sys.executable, "-c", CRASH]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["exit_code"] == 1
    assert "ZeroDivisionError" in done.stderr
    assert "half an answer" in done.stderr
    assert done.returncode == 1


def test_numbers_that_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    with json_alone() as answer:
        emit({"rate": float("nan"), "list": [float("inf"), 1.0]})
    assert answer.given
    assert json.loads(capsys.readouterr().out) == {"rate": None, "list": [None, 1.0]}
