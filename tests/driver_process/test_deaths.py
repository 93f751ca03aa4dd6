"""The actor dies or hangs, the driver hangs, its device hangs: hold, stop, and no motion before a
person re-arms. Real processes; times are those of the simulated robot's clock in its own log.

Each case runs at random moments, and once with its guard taken out, where it must fail.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from driven import Record, connected, follow

from robot_rl.drivers.remote.page import Page
from robot_rl.errors import RobotFault

MOMENTS = np.random.default_rng(12).uniform(0.2, 0.9, 3).round(3).tolist()
HOLD_MS, STOP_MS, TICK_MS = 150, 300, 20
BRAKE_MS = 60
"""From 0.3 m/s at the limits' acceleration, with two ticks to notice."""
PATIENCE_S = 30.0


@contextmanager
def actor(record: Path) -> Iterator[tuple[subprocess.Popen[str], int, Page]]:
    """An actor that moves the arm, its driver's process id, and the page that they share."""
    command = [sys.executable, str(Path(__file__).parent / "moving_actor.py"), str(record)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        word, driver, directory = process.stdout.readline().split()
        assert word == "moving"
        yield process, int(driver), Page(Path(directory) / "page", 1, 7)
    finally:
        process.kill()
        process.wait()


def ended(pid: int, seconds: float) -> bool:
    """Whether a process that is no child of ours ends in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # gone, before or while it was read
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def stopped(record: Path, seconds: float) -> Record:
    """The record once the device was stopped after its last goal, or at the end of `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = Record.of(record)
        if seen.goals and any(stop >= seen.goals[-1] for stop in seen.stops):
            break
        time.sleep(0.05)
    return Record.of(record)


def killed_actor(record: Path, moment: float) -> None:
    """kill -9: the driver sees its socket end, stops the arm and ends."""
    with actor(record) as (process, driver, page):
        time.sleep(moment)
        process.kill()
        process.wait()
        dead_ms = int(page.state.read()["clock_ns"]) // 1_000_000  # it died before this
        seen = stopped(record, 6.0)
        stop_ms = seen.goals[-1] + seen.stopped_after_last_goal()
        assert stop_ms <= dead_ms + HOLD_MS
        assert seen.moves_after(stop_ms - seen.goals[-1] + TICK_MS) == 0.0
        assert ended(driver, PATIENCE_S)


def stopped_actor(record: Path, moment: float) -> None:
    """SIGSTOP: commands go stale. Once it goes on it is refused."""
    with actor(record) as (process, _, _):
        time.sleep(moment)
        process.send_signal(signal.SIGSTOP)
        seen = stopped(record, 4.0)
        assert STOP_MS - TICK_MS <= seen.stopped_after_last_goal() <= STOP_MS + 2 * TICK_MS
        assert seen.moves_after(HOLD_MS + BRAKE_MS) == 0.0
        goals = len(seen.goals)
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert "a person re-arms" in process.stdout.readline()
        assert len(Record.of(record).goals) == goals


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_actor(tmp_path: Path, moment: float) -> None:
    killed_actor(tmp_path / "record", moment)


@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_actor(tmp_path: Path, moment: float) -> None:
    stopped_actor(tmp_path / "record", moment)


def test_killed_actor_needs_its_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAKENED", "loss,watchdog")
    with pytest.raises(AssertionError):
        killed_actor(tmp_path / "record", MOMENTS[0])


def test_stopped_actor_needs_its_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAKENED", "watchdog")
    with pytest.raises(AssertionError):
        stopped_actor(tmp_path / "record", MOMENTS[0])


def hung_driver(record: Path, moment: float, *, device: bool, patience: float) -> None:
    """The driver is ended by its guardian; the actor sees a fault, and a person starts it anew."""
    robot = connected(record)
    try:
        until = time.monotonic() + moment
        while time.monotonic() < until:
            follow(robot, (0.0, 0.0, 0.01))
            time.sleep(0.02)
        driver = robot._link.info.pid
        if device:
            Path(f"{record}.hang").touch()
        else:
            os.kill(driver, signal.SIGSTOP)
        assert ended(driver, patience), "the driver hangs on"
        until = time.monotonic() + PATIENCE_S
        while not robot._link._launcher.verdict() and time.monotonic() < until:
            time.sleep(0.01)
        assert "no heartbeat" in robot._link._launcher.verdict()
        with pytest.raises(RobotFault, match="ended"):
            follow(robot, (0.0, 0.0, 0.01))
        assert robot.read().fault
        seen = Record.of(record)
        assert seen.hung is device
        Path(f"{record}.hang").unlink(missing_ok=True)
        robot.rearm()
        assert not robot.read().fault
        time.sleep(0.1)
        assert len(Record.of(record).goals) == len(seen.goals)
        follow(robot, (0.0, 0.0, 0.01))
    finally:
        robot.close()


@pytest.mark.parametrize("device", [False, True], ids=["stopped", "device hangs"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_hung_driver(tmp_path: Path, moment: float, device: bool) -> None:
    hung_driver(tmp_path / "record", moment, device=device, patience=PATIENCE_S)


def test_hung_driver_needs_its_guardian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAKENED", "guardian")
    with pytest.raises(AssertionError, match="hangs on"):
        hung_driver(tmp_path / "record", MOMENTS[0], device=True, patience=2.0)
