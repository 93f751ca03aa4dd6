"""A person at the terminal of a real run: keys reach the actor, a stop holds the robot."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.runtime.rearm import holding
from robot_rl.runtime.rundir import RunDir
from robot_rl.types import Array, Source
from robot_rl.wire.record import Kind

WORDS = [
    "task=reach",
    "agent=sac",
    "teleop=keyboard",
    "teleop.hold_s=5",
    "actor.operator_stale_ms=5000",
    "steps=40",
    "agent.replay.warmup_steps=10",
    "agent.replay.batch_size=16",
    "agent.learner.hidden=[16,16]",
    "agent.learner.compile=false",
    "evaluation.episodes=0",
    "evaluation.video_episodes=0",
]


def run_in_terminal(
    folder: Path, command: list[str], keys: Callable[[], bytes], seconds: float
) -> tuple[int, str]:
    """Exit code and output of a command in a pseudo terminal in which `keys()` are held."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execv(command[0], command)
    shown = b""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the other end is closed: the command has ended
                break
        else:
            os.write(terminal, keys())
    else:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode(errors="replace")


def cli(*words: str) -> list[str]:
    return [sys.executable, "-m", "robot_rl.cli", *words]


def steps_of(run: Path) -> Array:
    records = np.concatenate([c.records for c in LogReader(run / "log").chunks()])
    return records[records["kind"] == Kind.STEP]


def test_keys_take_over_in_a_run(tmp_path: Path) -> None:
    command = cli("train", f"run={tmp_path}/run", *WORDS)
    code, shown = run_in_terminal(tmp_path, command, lambda: b"w", 100)
    assert code == 0, shown
    steps = steps_of(tmp_path / "run")
    human = steps[steps["source"] == Source.HUMAN]
    assert len(human) > 0
    assert (human["intervention_id"] >= 1).all()
    np.testing.assert_allclose(human["human"][:, 0], 0.5)
    assert np.isnan(steps["human"][steps["source"] != Source.HUMAN]).all()


def test_a_stop_holds_the_robot_until_it_is_rearmed_at_its_host(tmp_path: Path) -> None:
    """Once x is pressed the robot holds and the run lives on; `robot-rl rearm` lets it go on."""
    run = tmp_path / "run"
    held: list[str] = []

    def press() -> bytes:
        if held:
            return b""
        if not (run / "id").exists():
            return b"x"
        reasons = holding(RunDir(run).runtime())
        if not reasons:
            return b"x"
        held.extend(reasons.values())
        subprocess.run(cli("rearm", str(run)), check=True, cwd=tmp_path)
        return b""

    code, shown = run_in_terminal(tmp_path, cli("train", f"run={run}", *WORDS), press, 150)
    assert held, shown
    assert "emergency stop pressed" in held[0]
    assert code == 0, shown
    text = (run / "metrics" / "actor-0.jsonl").read_text()
    assert "robot-rl rearm" in text, "the actor says what is needed"
    assert "re-armed by a person" in text
    steps = steps_of(run)
    assert len(steps) == 40
    assert not (steps["source"] == Source.HUMAN).any()


def test_nothing_that_holds_nothing_is_rearmed(tmp_path: Path) -> None:
    code, shown = run_in_terminal(
        tmp_path, cli("train", f"run={tmp_path}/run", *WORDS), lambda: b"", 100
    )
    assert code == 0, shown
    done = subprocess.run(cli("rearm", f"{tmp_path}/run"), capture_output=True, text=True)
    assert done.returncode == 2
    assert "no robot of" in done.stderr
