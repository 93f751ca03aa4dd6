"""The long run of invariant I2: random goals through the limiter, each setpoint judged.

    python tests/faults/limits.py --commands 10000000

Two batches of three drive one limiter alone: goals anywhere, also far outside, changing in
mid-motion; the arm follows or lags; with and without a clip, with the FR3's limits and gentler
ones. The third asks the whole layer around two arms, in Cartesian and in joint space by turns:
near, far, huge, NaN, stale, silence, with and without feed-forward. Goes on where it stopped; every
batch has a seed of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "drivers"))

from campaign import upper_bound
from random_commands import count_of, faults_of, play, random_asks, two_arms
from test_safety import DT, emitted, make_limits, violations

from robot_rl.runtime.rundir import cpu_model

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "fault_limits.json"
GOALS, ASKS = 4000, 800
"""Of a batch: about 25,000 setpoints."""


def batch(seed: int) -> tuple[int, list[str]]:
    """Setpoints judged, and what each that broke a limit did."""
    if seed % 3 == 2:
        joint = seed % 2 == 0
        robot, inner = two_arms(joint=joint)
        play(robot, random_asks(np.random.default_rng(10_000 + seed), ASKS), joint=joint)
        return 2 * count_of(inner), faults_of(robot, inner, joint=joint)
    limits = make_limits() if seed % 4 < 2 else make_limits(jerk=200.0, angular_jerk=300.0)
    poses = emitted(limits, seed=10_000 + seed, goals=GOALS, clip=seed % 2 == 0)
    found = [] if np.isfinite(poses).all() else ["a setpoint is not finite"]
    return len(poses), found + violations(poses, DT, limits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commands", type=int, default=10_000_000, help="setpoints, in all")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    book: dict[str, Any] = {"commands": 0, "batches": 0, "violations": 0, "seconds": 0.0}
    if options.results.exists():
        book = json.loads(options.results.read_text())
    while book["commands"] < options.commands:
        began = time.monotonic()
        count, found = batch(book["batches"])
        for line in found:
            print(f"batch {book['batches']}: {line}", flush=True)
        book["commands"] += count
        book["batches"] += 1
        book["violations"] += len(found)
        book["seconds"] = round(book["seconds"] + time.monotonic() - began, 1)
        clean = not book["violations"]
        book["upper_bound_95"] = upper_bound(book["commands"]) if clean else None
        book |= {"cpu": cpu_model(), "cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
        aside = options.results.with_suffix(".new")
        aside.write_text(json.dumps(book, indent=1) + "\n")
        aside.rename(options.results)
    print(json.dumps(book, indent=1))
    return int(bool(book["violations"]))


if __name__ == "__main__":
    sys.exit(main())
