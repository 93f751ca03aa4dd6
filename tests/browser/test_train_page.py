"""A person steps into a training run through the page, stops it, re-arms it at its host."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="the browser lane is launch/test.sh browser")

from console_run import ConsoleRun, body, click, hands_on, until

from robot_rl.runtime.rearm import holding
from robot_rl.types import Source
from robot_rl.wire.latest_layout import Latest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
ACTOR = "actor-0"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ConsoleRun]:
    words = ["train", f"run={tmp_path}/run", "console=web", "console_port=18081", "task=reach"]
    words += ["agent=sac", "actor.real_time=true", "evaluation.episodes=0", "task.max_steps=20000"]
    words += ["task.tolerance=0.0001", "agent.replay.warmup_steps=100000", "steps=200000"]
    run = ConsoleRun(words, tmp_path / "log", ACTOR)
    yield run
    run.stop()


def random(latest: Latest) -> bool:
    return latest.action is not None and latest.action.source is Source.RANDOM


def test_take_over_hand_back_stop_and_rearm(
    run: ConsoleRun, open_page: Callable[[str], Any]
) -> None:
    page = open_page(run.address)
    until("the page", lambda: "random actions" in body(page))
    click(page, "Take over")
    taken = run.when("the takeover", hands_on)
    assert taken.action is not None
    assert taken.action.source is Source.HUMAN
    assert taken.action.proposed is not None
    until("the page says so", lambda: "a person" in body(page))
    click(page, "Hand back")
    run.when("the hand-back", random)
    click(page, "Stop request")
    reason = until("the latched fault", lambda: holding(run.runtime).get(ACTOR))
    assert "emergency stop" in reason
    until("the page says so", lambda: "FAULT" in body(page))
    folder, before = run.log.parent / "run", run.latest()
    subprocess.run([sys.executable, "-m", "robot_rl.cli", "rearm", str(folder)], check=True)
    run.when("it goes on", lambda now: now.episode > before.episode and now.index > 2)
    until("the page says so", lambda: "FAULT" not in body(page))
    page.quit()
    run.when("it goes on without a page", lambda now: now.index > 5 and random(now))
