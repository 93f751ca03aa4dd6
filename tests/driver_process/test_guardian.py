"""The guardian ends a driver that hangs, and no other: by numbers, and with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from robot_rl.drivers.remote import guardian
from robot_rl.drivers.remote.guardian import Watch, guard

MS = 1_000_000
CHILD = """
import sys, time
from pathlib import Path
from robot_rl.drivers.remote.page import Page
page = Page(Path(sys.argv[1]), 1, 7, create=True)
beats = int(sys.argv[2])
while beats:
    beats -= 1
    page.beat(100_000_000)
    time.sleep(0.005)
time.sleep(float(sys.argv[3]))
sys.exit(int(sys.argv[4]))
"""


def looks(beats: list[tuple[int, int, int]]) -> list[bool]:
    watch = Watch()
    return [watch.hung(now * MS, beat * MS, allowed * MS) for now, beat, allowed in beats]


def test_a_late_heartbeat_is_a_hang_from_the_limit_on() -> None:
    times = [(now, 1000, 100) for now in range(1000, 1131, 5)]
    assert looks(times) == [now - 1000 > 100 for now in range(1000, 1131, 5)]


def test_before_the_first_heartbeat_nothing_hangs() -> None:
    assert not any(looks([(now, 0, 0) for now in range(1000, 99_000, 5)]))


def test_a_slow_request_may_take_what_it_announced() -> None:
    assert not any(looks([(now, 1000, 20_000) for now in range(1000, 20_990, 5)]))


def test_a_guardian_that_was_away_looks_twice() -> None:
    assert looks([(1000, 995, 100), (1400, 995, 100), (1405, 1404, 100)]) == [False] * 3
    assert looks([(1000, 995, 100), (1400, 995, 100), (1405, 995, 100)]) == [False, False, True]


def child(directory: Path, *, beats: int, then: float, code: int = 0) -> list[str]:
    words = [str(directory / "page"), str(beats), str(then), str(code)]
    return [sys.executable, "-c", CHILD, *words]


def test_a_driver_that_stops_beating_is_killed(tmp_path: Path) -> None:
    assert guard(tmp_path, child(tmp_path, beats=20, then=600.0), lambda: False) == 1
    assert "no heartbeat" in (tmp_path / "verdict").read_text()


def test_without_the_judgement_it_hangs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian.Watch, "hung", lambda *_: False)
    assert guard(tmp_path, child(tmp_path, beats=20, then=1.0), lambda: False) == 0
    assert not (tmp_path / "verdict").exists()


def test_a_driver_that_ends_by_itself(tmp_path: Path) -> None:
    assert guard(tmp_path, child(tmp_path, beats=5, then=0.0), lambda: False) == 0
    assert not (tmp_path / "verdict").exists()
    assert guard(tmp_path, child(tmp_path, beats=5, then=0.0, code=3), lambda: False) == 3
    assert "code 3" in (tmp_path / "verdict").read_text()


def test_told_to_end_it_ends_the_driver(tmp_path: Path) -> None:
    asked = iter([False] * 40)
    assert guard(tmp_path, child(tmp_path, beats=10**6, then=0.0), lambda: next(asked, True)) == 0


def test_a_stopped_driver_is_killed(tmp_path: Path) -> None:
    """SIGSTOP from outside: the process is there, and does nothing."""
    words = child(tmp_path, beats=10**6, then=0.0)
    code = (
        "import sys; from pathlib import Path; from robot_rl.drivers.remote.guardian import guard;"
        f"sys.exit(guard(Path({str(tmp_path)!r}), {words!r}, bool))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        reader = guardian.BeatReader(tmp_path / "page")
        while reader.read()[0] == 0:
            time.sleep(0.01)
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(listed[0]), signal.SIGSTOP)
        assert process.wait(60) == 1
        assert "no heartbeat" in (tmp_path / "verdict").read_text()
    finally:
        process.kill()
        process.wait()
