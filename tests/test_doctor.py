"""`robot-rl doctor` says what is missing and what to do about it, and moves nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from robot_rl.cli import main
from robot_rl.commands import doctor
from robot_rl.examination import Grade


def findings(
    capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json", *words])
    return code, {item["name"]: item for item in json.loads(capsys.readouterr().out)}


def test_a_simulated_robot_can_run_here(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "robot=fr3_sim")
    assert code == 0
    assert {"robot", "kernel", "priority", "memory", "clock", "disk", "GPU"} <= set(found)


def test_an_arm_without_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "robot=fr3")
    assert code == 1
    assert found["address"]["grade"] == Grade.FAILURE.value
    assert "robot.address=" in found["address"]["remedy"]


def test_an_arm_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "robot=fr3", "robot.address=127.0.0.1")
    assert code == 1
    assert found["arm"]["grade"] == Grade.FAILURE.value
    assert "FCI" in found["arm"]["remedy"]


def test_every_warning_has_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = findings(capsys, "robot=fr3", "robot.address=127.0.0.1")
    for item in found.values():
        assert item["remedy"] or item["grade"] == Grade.GOOD.value, item


def test_without_the_right_to_a_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    found = {item.name: item for item in doctor.examine_machine(Path("/"))}
    assert found["priority"].grade is Grade.WARNING
    assert "rtprio" in found["priority"].remedy


def test_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "robot=fr3"]) == 1
    out = capsys.readouterr().out
    assert "FAIL address" in out
    assert "-> give the IP" in out
    assert out.endswith("it cannot run yet\n")
