"""`robot-rl bench` measures a run's own parts and says of each whether it is fast enough."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from robot_rl.bench.figure import Figure, percentiles
from robot_rl.cli import main

FAST = ["--quick", "agent.learner.compile=false"]


def test_every_part_is_measured_and_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--json", *FAST, "task=reach", "agent.utd=3"]) == 2
    assert "agent.utd" in capsys.readouterr().err
    assert main(["bench", "--json", *FAST, "task=reach", "agent.replay.utd=3"]) == 0
    result = json.loads(capsys.readouterr().out)
    figures = {(f["part"], f["what"]): f for f in result["figures"]}
    assert {part for part, _ in figures} == {
        "environment", "policy", "replay", "learner", "wire", "loop"
    }  # fmt: skip
    for figure in figures.values():
        assert math.isfinite(figure["value"])
        assert figure["value"] > 0
        assert (figure["verdict"] == "") is (figure["limit"] is None)
    assert figures["learner", "critic updates"]["limit"] == 30  # 3 updates a step at 10 Hz
    assert result["seconds_at_least"] > 0
    assert result["machine"]["cores"] >= 1


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *FAST, "task=reach"]) == 0
    text = capsys.readouterr().out
    assert "environment" in text
    assert "simulated steps take" in text


def test_a_verdict_follows_from_the_limit() -> None:
    rate = Figure("environment", "steps", 600.0, "1/s", 500.0, "50 Hz", at_least=True)
    assert rate.verdict == "fast enough for 50 Hz (≥ 500 1/s)"
    assert replace(rate, value=400.0).verdict == "too slow for 50 Hz (≥ 500 1/s)"
    late = Figure("loop", "lateness", 6.0, "ms", 5.0, "the slack")
    assert late.verdict == "too slow for the slack (≤ 5 ms)"
    assert replace(late, value=5.0).enough is True
    assert (replace(late, limit=None).enough, replace(late, limit=None).verdict) == (None, "")
    assert percentiles([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2.98))
