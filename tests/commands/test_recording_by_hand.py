"""`robot-rl record` in a terminal by a person's keys, and killed in the middle."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from robot_rl.cli import main
from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import read_amendments
from robot_rl.types import Source

RECORD = [sys.executable, "-m", "robot_rl.cli", "record", "task=reach"]


def in_terminal(command: list[str], keys: Callable[[str], bytes]) -> tuple[int, str]:
    """Exit code and output of a command in a pseudo terminal; `keys(output)` are pressed whenever
    it has been silent for a moment."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    shown = b""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.25)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the other end is closed: the command has ended
                break
        else:
            os.write(terminal, keys(shown.decode(errors="replace")))
    else:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode(errors="replace")


def whole(path: Path) -> int:
    episodes = list(read_episodes(path))
    assert all(episode.complete for episode in episodes)
    return len(episodes)


def test_a_person_keeps_takes_back_and_keeps_again_by_keys(tmp_path: Path) -> None:
    out = tmp_path / "hand"
    good = cycle([b"w", b"y"])

    def keys(shown: str) -> bytes:
        if "kept 1 of 2" in shown and "took back" not in shown:
            return b"z"
        return next(good)

    by_hand = ["--out", str(out), "--episodes", "2", "--by", "teleop", "teleop=keyboard"]
    code, shown = in_terminal([*RECORD, *by_hand, "teleop.hold_s=5"], keys)
    assert code == 0, shown
    assert whole(out) == 2
    assert "discard" in {amendment.action for amendment in read_amendments(out)}
    for episode in read_episodes(out):
        steps = episode.records[1:]
        assert steps["success"][-1] == 1
        assert (steps["source"] == Source.DEMO).all()
        assert (steps["human"][:, 0] == 0.5).any(), "w was held"


def test_what_was_said_to_be_kept_survives_a_kill(tmp_path: Path) -> None:
    out = tmp_path / "d"
    words = [*RECORD, "--out", str(out), "--episodes", "500"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, bufsize=0) as recorder:
        assert recorder.stderr is not None
        shown = b""
        while b"kept 3 of" not in shown:
            piece = recorder.stderr.read(4096)
            assert piece, shown
            shown += piece
        recorder.kill()
    left = whole(out)
    assert left >= 3
    more = ["--append", "--episodes", str(left + 2)]
    assert main(["record", "task=reach", "--out", str(out), *more]) == 0
    assert whole(out) == left + 2
    starts = {episode.records["obs.state"][0].tobytes() for episode in read_episodes(out)}
    assert len(starts) == left + 2, "no start state comes twice"
