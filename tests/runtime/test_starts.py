"""Start states: a function of (run seed, actor id, k), and k goes on across lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.errors import DataError
from robot_rl.runtime.starts import StartStates, start_seeds

COUNTING = """
import sys
from pathlib import Path
from robot_rl.runtime.starts import StartStates
starts = StartStates(Path(sys.argv[1]), 3, "arm")
while True:
    print(*starts.next(10 * starts.k), flush=True)
"""


def test_actors_with_the_same_letters_start_differently() -> None:
    """They were sums of bytes once: arm-12-0 had the seed of arm-21-0."""
    names = ["arm-12-0", "arm-21-0", "arm-0-12", "a"]
    firsts = {start_seeds(0, name, 0) for name in names}
    assert len(firsts) == len(names)
    assert len({start_seeds(0, "a", k) for k in range(1000)}) == 1000
    assert start_seeds(1, "a", 0) != start_seeds(0, "a", 0)


def test_they_are_the_same_on_every_machine() -> None:
    assert start_seeds(7, "arm-0", 3) == (1847863583, 587127401)
    assert all(0 <= seed < 2**31 for k in range(100) for seed in start_seeds(0, "a", k))


def test_two_runs_of_a_seed_start_alike_and_a_resumed_one_goes_on(tmp_path: Path) -> None:
    one, two = (StartStates(tmp_path / name, 5, "arm") for name in ("one", "two"))
    first = [one.next(0) for _ in range(3)]
    assert first == [two.next(0) for _ in range(3)] == [start_seeds(5, "arm", k) for k in range(3)]
    one.note(120)
    one.close()
    again = StartStates(tmp_path / "one", 5, "arm")
    assert (again.k, again.steps_before) == (3, 120)
    assert again.next(0) == start_seeds(5, "arm", 3)
    again.close()
    assert StartStates(tmp_path / "one", 5, "arm").steps_before == 120
    two.close()


def test_a_killed_actor_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL, twenty times, while it counts: no start state comes twice, none is left out."""
    path, seen = tmp_path / "spool" / "arm.starts", list[tuple[int, int]]()
    for life in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(3 + life % 4):
            first, second = child.stdout.readline().split()
            seen.append((int(first), int(second)))
        os.kill(child.pid, signal.SIGKILL)
        for line in child.stdout:
            words = line.split()
            if len(words) == 2 and line.endswith("\n"):
                seen.append((int(words[0]), int(words[1])))
        child.wait()
    k = StartStates(path, 3, "arm").k
    drawn = [start_seeds(3, "arm", i) for i in range(k)]
    assert len(set(seen)) == len(seen), "none twice"
    left_out = set(drawn) - set(seen)
    assert len(left_out) <= 20, "at most the one that was being told when it was killed"
    assert set(seen) <= set(drawn)


def test_a_damaged_counter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arm.starts"
    path.write_text("three\n")
    with pytest.raises(DataError, match="damaged"):
        StartStates(path, 0, "arm")
