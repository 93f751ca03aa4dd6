"""A person at the terminal of a real run: held keys reach the actor's process as interventions."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.types import Source
from robot_rl.wire.record import Kind

WORDS = [
    "task=reach",
    "agent=sac",
    "teleop=keyboard",
    "teleop.hold_s=5",
    "steps=40",
    "agent.replay.warmup_steps=10",
    "agent.replay.batch_size=16",
    "agent.learner.hidden=[16,16]",
    "agent.learner.compile=false",
    "evaluation.episodes=0",
    "evaluation.video_episodes=0",
]


def run_in_terminal(
    folder: Path, command: list[str], keys: bytes, seconds: float
) -> tuple[int, str]:
    """Exit code and output of a command in a pseudo terminal in which `keys` are held."""
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
            os.write(terminal, keys)
    else:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode(errors="replace")


def test_keys_take_over_in_a_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "robot_rl.cli", "train", f"run={tmp_path}/run", *WORDS]
    code, shown = run_in_terminal(tmp_path, command, b"w", 100)
    assert code == 0, shown
    records = np.concatenate([c.records for c in LogReader(tmp_path / "run" / "log").chunks()])
    steps = records[records["kind"] == Kind.STEP]
    human = steps[steps["source"] == Source.HUMAN]
    assert len(human) > 0
    assert (human["intervention_id"] >= 1).all()
    np.testing.assert_allclose(human["human"][:, 0], 0.5)
    assert np.isnan(steps["human"][steps["source"] != Source.HUMAN]).all()


def test_the_emergency_stop_ends_a_run_with_the_reason(tmp_path: Path) -> None:
    """What was done before it is kept; nothing is done after it, and the exit code says so."""
    command = [sys.executable, "-m", "robot_rl.cli", "train", f"run={tmp_path}/run", *WORDS]
    code, shown = run_in_terminal(tmp_path, [*command, "steps=100000"], b"x", 100)
    assert code not in (0, -signal.SIGKILL), shown
    assert "emergency stop pressed at the teleoperation device" in shown
    log = tmp_path / "run" / "log"
    if log.exists():
        for chunk in LogReader(log).chunks():
            assert not (chunk.records["source"] == Source.HUMAN).any()
