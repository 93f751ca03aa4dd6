"""Processes of a session: one JSON document in, one readable line out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from robot_rl.commands.child_config import (
    ActorConfig,
    AnyChild,
    EvaluatorConfig,
    LearnerConfig,
    child_command,
)
from robot_rl.errors import UserCodeError
from robot_rl.runtime.supervisor import ProcessFailed, Supervisor
from robot_rl.user_code import UserCode
from robot_rl.wire.process import run_main


@pytest.mark.parametrize(
    "config",
    [
        ActorConfig("runs/größe", 1.5, runtime_dir="/tmp/x", actor="arm-0"),
        LearnerConfig("r", 0.0, address="ipc:///tmp/x", episodes_from_log=True),
        EvaluatorConfig("r", 0.0),
    ],
)
def test_a_config_comes_back_as_its_own_role(config: AnyChild) -> None:
    *_, document = child_command(config)
    assert msgspec.json.decode(document, type=AnyChild) == config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: python -m robot_rl.commands.child"),
        (["{"], "truncated"),
        (['{"role": "dancer", "run": "r", "origin_s": 0}'], "dancer"),
        (['{"role": "actor", "run": "r", "origin_s": 0}'], "runtime_dir"),
        (['{"role": "evaluator", "run": "nowhere", "origin_s": 0}'], "is no run"),
    ],
)
def test_a_bad_argument_is_one_line(words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "robot_rl.commands.child", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR ")
    assert said in line


def test_what_a_users_code_raises_is_kept_whole_and_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: EvaluatorConfig) -> None:
        with UserCode("step of 'My-v0'"):
            raise KeyError("gripper_state")

    document = msgspec.json.encode(EvaluatorConfig("r", 0.0)).decode()
    assert run_main("here", EvaluatorConfig, run, [document]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1] == "ERROR step of 'My-v0' raised KeyError: 'gripper_state'"
    assert lines[0].startswith("Traceback")
    assert "UserCodeError" not in "\n".join(lines[:-1]), "only what the user's code raised"


def test_errors_of_this_project_and_ctrl_c_pass_through_as_they_are() -> None:
    for error in (UserCodeError("inner"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, UserCode("outer"):
            raise error
        assert caught.value is error


@pytest.mark.parametrize(
    ("printed", "code", "said", "unsaid"),
    [
        ("noise\\nERROR step raised KeyError", 2, "actor-0: step raised KeyError; all", "noise"),
        ("noise\\nERROR in words", 1, "noise", "all that it printed"),
    ],
)
def test_a_childs_own_line_is_what_a_person_sees(
    printed: str, code: int, said: str, unsaid: str, tmp_path: Path
) -> None:
    supervisor = Supervisor(tmp_path)
    command = [sys.executable, "-c", f"print('{printed}'); raise SystemExit({code})"]
    child = supervisor.start("actor-0", command)
    child.process.wait(20)
    with pytest.raises(ProcessFailed) as caught:
        supervisor.check()
    assert said in str(caught.value)
    assert unsaid not in str(caught.value)
    assert str(tmp_path / "actor-0.log") in str(caught.value)
