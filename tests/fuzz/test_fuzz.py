"""Every target: seeds, kept findings, a few seconds of mutation; and the guard's own teeth."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from itertools import islice
from pathlib import Path

import pytest
from guard import BUDGET_S, Finding, Target, check_memory, run, settled
from mutate import mutations
from table import table
from targets import TARGETS

from robot_rl.errors import DataError, RobotRLError

HERE = Path(__file__).resolve().parent
REGRESSIONS = sorted((HERE / "regressions").glob("*/*.bin"))
INPUTS = 300
LONG_S = 300
"""CPU-seconds of the slow lane, all targets together."""


@pytest.fixture(autouse=True)
def quiet() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_mutations_end_in_success_or_in_words(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    for data in seeds:
        run(target, data)
        check_memory(target, data)
    for number, data in enumerate(islice(mutations(seeds, target.max_len, 1), INPUTS)):
        run(target, data)
        if number % 10 == 0:
            check_memory(target, data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_our_own_writers_made_is_accepted(name: str) -> None:
    """A target that refused everything would find nothing."""
    accepted = 0
    for data in TARGETS[name].seeds():
        try:
            TARGETS[name].run(data)
        except RobotRLError:
            continue
        accepted += 1
    assert accepted


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_found_once_stays_mended(path: Path) -> None:
    target, data = TARGETS[path.parent.name], path.read_bytes()
    run(target, data)
    check_memory(target, data)
    assert settled(target, data) < 10 * BUDGET_S


def test_mutations_are_the_same_for_the_same_number() -> None:
    seeds = [b"one", b"another"]
    first = list(islice(mutations(seeds, 64, 7), 50))
    assert first == list(islice(mutations(seeds, 64, 7), 50))
    assert first != list(islice(mutations(seeds, 64, 8), 50))
    assert len(set(first)) > 40


def test_figures_of_several_runs_add_up() -> None:
    run_ = {
        "target": "t",
        "inputs": 1500,
        "edges": 7,
        "lines": 3,
        "of_lines": 9,
        "peak_bytes": 2048,
    }
    rows = list(table([run_ | {"slowest_ms": 0.5}, run_ | {"inputs": 500, "slowest_ms": 1.25}]))
    assert rows[2:] == ["| t | 2,000 | 7 | 3 of 9 | 1.25 | 2 KiB |", "| together | 2,000 | | | | |"]


def _refuses(data: bytes) -> None:
    raise DataError("no")


def _breaks(data: bytes) -> None:
    if b"\xff" in data:
        raise KeyError(data)


def _grows(data: bytes) -> None:
    bytearray(64 << 20)


class _GrowsOnce:
    """What the process allocates for itself while an input happens to be run."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, data: bytes) -> None:
        self.calls += 1
        bytearray(64 << 20 if self.calls == 1 else 1 << 10)


def _mute(data: bytes) -> None:
    raise DataError("")


def test_the_guard_tells_refusals_from_findings() -> None:
    assert run(Target("t", _refuses, lambda: [b""], ()), b"") >= 0
    breaking = Target("t", _breaks, lambda: [b"seed"], ())
    assert run(breaking, b"seed") >= 0
    broken = next(data for data in mutations([b"seed"], 64, 0) if b"\xff" in data)
    with pytest.raises(Finding, match="KeyError"):
        run(breaking, broken)
    with pytest.raises(Finding, match="without a word"):
        run(Target("t", _mute, lambda: [b""], ()), b"")
    with pytest.raises(Finding, match="bytes for an input of 3"):
        check_memory(Target("t", _grows, lambda: [b""], ()), b"abc")
    once = _GrowsOnce()
    assert check_memory(Target("t", once, lambda: [b""], ()), b"abc") < 1 << 20
    assert once.calls == 2


def test_the_fuzzer_keeps_what_it_finds_and_says_so(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import engine, guard\n"
        "from pathlib import Path\n"
        "def run(data):\n"
        "    if data[:1] == b'x': raise KeyError(data)\n"
        "target = guard.Target('planted', run, lambda: [b'wxyz'], ())\n"
        f"engine.hunt(target, Path({str(tmp_path)!r}), seconds=0, inputs=3000, seed=1)\n"
    )
    subprocess.run([sys.executable, planted], check=True, capture_output=True, timeout=120)
    found = json.loads((tmp_path / "hunt.json").read_text())
    assert found["inputs"] >= 3000
    assert [key for key in found["findings"] if key.startswith("KeyError")]
    kept = [path.read_bytes() for path in tmp_path.glob("finding-*.bin")]
    assert kept
    assert all(data.startswith(b"x") for data in kept)


def test_a_campaign_gives_figures(tmp_path: Path) -> None:
    results = tmp_path / "fuzz.json"
    done = _campaign("amendment", "--inputs=500", f"--results={results}", corpus=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(results.read_text())
    assert found["inputs"] >= 500
    assert found["findings"] == {}
    assert found["corpus"] >= 4
    assert 0 < found["slowest_ms"] < 10_000 * BUDGET_S
    unknown = _campaign("amendmant", "--inputs=1", corpus=tmp_path)
    assert unknown.returncode == 2
    assert "valid: all, message" in unknown.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
def test_minutes_of_fuzzing_find_nothing(name: str, tmp_path: Path) -> None:
    """LONG_S seconds over all targets, coverage-guided where atheris is installed."""
    seconds = -(-LONG_S // len(TARGETS))
    done = _campaign(name, f"--seconds={seconds}", corpus=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def _campaign(*arguments: str, corpus: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "fuzz.py"), *arguments, f"--corpus={corpus}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)
