"""The long run: kill -9 again and again, side by side, until each has had its number.

    python tests/faults/campaign.py --kills 1000
    python tests/faults/campaign.py --kills 50 --sides io,ingest --results more.json

Stop it whenever you like and start it again: what is done counts, and the same command goes on from
there. Kills come in batches of 20; each batch is judged by the independent recorder at its end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fault_recorder import Broken
from fault_world import World
from test_kills import kill_again_and_again
from test_learner_kills import LearnerRun, kill_learner, require_bit_equal

from robot_rl.runtime.rundir import cpu_model

SIDES = ("actor", "io", "ingest", "learner")
BATCH = 20
RESULTS = Path(__file__).parents[2] / "docs" / "results" / "fault_kills.json"


def upper_bound(trials: int) -> float:
    """95 % upper bound on the probability of a failure that `trials` clean trials give."""
    return 1.0 - 0.05 ** (1.0 / trials) if trials else 1.0


def batch(side: str, seed: int, kills: int) -> dict[str, Any]:
    """One World or learner, killed so often; what the judge found."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name)
        if side == "learner":
            return learner_batch(folder, seed, kills)
        with World(folder) as world:
            times = kill_again_and_again(world, side, kills, seed)
            verdict = world.finish()
        return {
            "seconds": times,
            "committed": verdict.committed,
            "acknowledged": verdict.acknowledged,
            "lost": len(verdict.lost),
            "lost_committed": len(verdict.lost_committed),
            "doubled": len(verdict.doubled),
            "not_byte_equal": len(verdict.strange),
        }


def learner_batch(folder: Path, seed: int, kills: int) -> dict[str, Any]:
    """The real learner; `not_byte_equal` counts ends that differ from an uninterrupted one's."""
    with World(folder / "run", settings={"actor": {"rate_hz": 100.0}}) as world:
        run = LearnerRun(folder / "run", 1000)
        world.start_all()
        times = kill_learner(run, world, kills, seed)
        different = 0
        try:
            require_bit_equal(run, world, folder / "whole")
        except Broken as error:
            print(f"learner, seed {seed}: {error}", file=sys.stderr)
            different = 1
        verdict = world.finish()
    return {
        "seconds": times,
        "committed": verdict.committed,
        "acknowledged": verdict.acknowledged,
        "lost": len(verdict.lost),
        "lost_committed": len(verdict.lost_committed),
        "doubled": len(verdict.doubled),
        "not_byte_equal": different + len(verdict.strange),
    }


def add(total: dict[str, Any], found: dict[str, Any], kills: int) -> None:
    """Counts a batch in."""
    total["kills"] = total.get("kills", 0) + kills
    total["batches"] = total.get("batches", 0) + 1
    for key, value in found.items():
        if key == "seconds":
            total[key] = [*total.get(key, []), *(round(t, 3) for t in value)]
        else:
            total[key] = total.get(key, 0) + value
    total["load_average"] = round(max(total.get("load_average", 0.0), os.getloadavg()[0]), 1)
    total["median_s"] = round(statistics.median(total["seconds"]), 3)
    total["max_s"] = max(total["seconds"])
    clean = not (total["lost_committed"] or total["doubled"] or total["not_byte_equal"])
    total["upper_bound_95"] = round(upper_bound(total["kills"]), 6) if clean else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="of each side, in all")
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--minutes", type=float, default=1e9, help="end after the batch then")
    options = parser.parse_args()
    sides = options.sides.split(",")
    if unknown := set(sides) - set(SIDES):
        parser.error(f"sides {sorted(unknown)}; valid: {', '.join(SIDES)}")
    end = time.monotonic() + 60 * options.minutes
    book: dict[str, Any] = (
        json.loads(options.results.read_text()) if options.results.exists() else {}
    )
    kills = book.setdefault("kills", {})
    while time.monotonic() < end:
        open_sides = [s for s in sides if kills.get(s, {}).get("kills", 0) < options.kills]
        if not open_sides:
            break
        side = min(open_sides, key=lambda s: kills.get(s, {}).get("kills", 0))
        total = kills.setdefault(side, {})
        count = min(BATCH, options.kills - total.get("kills", 0))
        add(total, batch(side, 1000 + total.get("batches", 0), count), count)
        book["machine"] = {"cpu": cpu_model(), "cores": os.cpu_count()}
        book["date"] = time.strftime("%Y-%m-%d")
        options.results.parent.mkdir(parents=True, exist_ok=True)
        aside = options.results.with_suffix(".new")
        aside.write_text(json.dumps(book, indent=1) + "\n")
        aside.rename(options.results)
        print(
            f"{side}: {total['kills']} kills, committed lost {total['lost_committed']}, doubled "
            f"{total['doubled']}, not byte-equal {total['not_byte_equal']}, back after "
            f"{total['median_s']} s (median), {total['max_s']} s (maximum)",
            flush=True,
        )
    bad = [s for s in kills if kills[s]["upper_bound_95"] is None]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
