"""Lateness of a 1 kHz Python loop: bare, beside a busy learner, with the wire running, with both.

Conditions take turns, so that what else the machine does touches all of them alike; the ratios are
of medians over the rounds. The absolute figures are the host's.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from companion import Companion

from areas.probe import ACTOR, ProbeConfig
from robot_rl.errors import ConfigError
from robot_rl.testing.wire_harness import WireHarness

PERCENTILES = ("p50_us", "p99_us", "p999_us", "worst_us")
HERE = Path(__file__).resolve().parent
STARTUP_S = 1.0
"""The learner works this much longer than the probe, which has to start first."""
CONDITIONS = {
    "bare": (False, False),
    "learner": (True, False),
    "wire": (False, True),
    "learner_and_wire": (True, True),
}
"""Name: with a learner, with records through an I/O process and ingest."""


def run(
    *, rounds: int = 5, seconds: float = 4.0, fifo: bool = False, compile: bool = True
) -> dict[str, Any]:
    """Per condition the medians over rounds of p50, p99, p99.9 and worst lateness (µs), and
    `<percentile>_ratio` to the bare loop.

    fifo: the probe asks for SCHED_FIFO; `scheduling` says what was granted. compile: the learner's.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONDITIONS}
    learner_command = [
        sys.executable,
        str(HERE / "busy.py"),
        *([] if compile else ["--eager"]),
    ]
    with Companion("learner", learner_command) as learner:
        for _ in range(rounds):
            for name, (busy, wired) in CONDITIONS.items():
                if busy:
                    learner.ask(seconds=seconds + STARTUP_S)
                with _wire(wired) as runtime_dir:
                    found[name].append(_probe(ProbeConfig(seconds, 1000, fifo, runtime_dir)))
                if busy:
                    found[name][-1] |= learner.answer()
    return summary(found) | {"rounds": rounds, "seconds": seconds, "period_us": 1000}


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the rounds, and their ratios to those of the bare loop."""
    result: dict[str, Any] = {}
    for name, rounds in found.items():
        numbers = {
            key for r in rounds for key, value in r.items() if isinstance(value, int | float)
        }
        result[name] = {key: statistics.median(r[key] for r in rounds) for key in sorted(numbers)}
        result[name]["scheduling"] = rounds[0]["scheduling"]
    for name in found:
        if name != "bare":
            for key in PERCENTILES:
                ratio = result[name][key] / result["bare"][key]
                result[name][key.replace("_us", "_ratio")] = ratio
    return result


def _probe(config: ProbeConfig) -> dict[str, Any]:
    """Runs the probe in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "probe.py"), msgspec.json.encode(config).decode()],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(f"the probe loop ended with {done.returncode}: {done.stderr.strip()}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found


@contextmanager
def _wire(wanted: bool) -> Iterator[str]:
    """A running ingest and an I/O process; gives the runtime directory, "" where not wanted."""
    if not wanted:
        yield ""
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-loop-"))
    try:
        with WireHarness(folder) as wire:
            wire.start_ingest()
            wire.start_io(ACTOR)
            yield str(wire.runtime)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
