"""Learning curves over seeds: resumable, one run after the other, results as files.

  python tests/benchmarks/curves.py pick_cube --steps 10000 --seeds 5 --window 6000 10000
  python tests/benchmarks/curves.py reach drawer_open peg_insert push_t --steps 50000 --seeds 3
  python tests/benchmarks/curves.py pick_cube --name plain_rlpd agent.learner.bc_weight=0

Runs lie in runs/curves/<name>-s<seed>; an interrupted one goes on, and one that ended at fewer
steps too. What the curve needs of a finished one is kept in docs/results/seeds, so that another
machine goes on with the next seed. docs/results/<name>.json and .svg are written after each run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from robot_rl.metrics.reader import read_metrics
from robot_rl.report.compare import compare_runs
from robot_rl.report.statistics import wilson_interval
from robot_rl.runtime.rundir import cpu_model

MARKS = (10_000, 20_000, 50_000)
RUNS, RESULTS = Path("runs/curves"), Path("docs/results")
KEPT = ("config.yaml", "run.json", "seconds", "metrics/train.jsonl", "metrics/evaluator.jsonl")


def train(name: str, task: str, seed: int, steps: int, overrides: list[str]) -> Path:
    """One run to its end; gives the folder with what is kept of it."""
    folder, kept = RUNS / f"{name}-s{seed}", RESULTS / "seeds" / f"{name}-s{seed}"
    if max(evaluations(kept), default=0) >= steps:
        return kept
    if (folder / "config.yaml").exists():
        words = [f"resume={folder}", f"steps={steps}"]
    else:
        words = [f"task={task}", f"seed={seed}", f"steps={steps}", f"run={folder}", *overrides]
    command = [sys.executable, "-m", "robot_rl.cli", "train", "--json", *words]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with (folder / "seconds").open("a") as file:
        file.write(f"{time.monotonic() - started:.1f}\n")
    for part in KEPT:
        (kept / part).parent.mkdir(parents=True, exist_ok=True)
        text = (folder / part).read_text()
        (kept / part).write_text(text.replace(f"{Path.cwd()}/", ""))
    return kept


def evaluations(folder: Path) -> dict[int, tuple[int, int]]:
    """Environment steps → (successes, episodes); empty for a folder that is not there."""
    if not folder.exists():
        return {}
    return {
        record.step: (record.successes, record.episodes) for record in read_metrics(folder).evals
    }


def pooled(runs: list[Path], first: int, last: int) -> dict[str, object]:
    """Successes of all evaluations in [first, last] of all runs, with the Wilson interval."""
    pairs = [e for run in runs for step, e in evaluations(run).items() if first <= step <= last]
    successes, episodes = sum(s for s, _ in pairs), sum(n for _, n in pairs)
    low, high = wilson_interval(successes, episodes) if episodes else (0.0, 1.0)
    return {
        "from": first,
        "to": last,
        "successes": successes,
        "episodes": episodes,
        "rate": successes / episodes if episodes else None,
        "interval_95": [low, high],
        "worst_evaluation": min((s / n for s, n in pairs), default=None),
    }


def first_at(run: Path, rate: float) -> int | None:
    """Steps of the first evaluation with at least this success."""
    return next((step for step, (s, n) in sorted(evaluations(run).items()) if s >= rate * n), None)


def summarise(name: str, runs: list[Path], window: tuple[int, int], overrides: list[str]) -> None:
    """Writes docs/results/<name>.json and .svg from the runs so far."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    seconds = [
        sum(float(line) for line in (run / "seconds").read_text().split())
        for run in runs
        if (run / "seconds").exists()
    ]
    result = {
        "name": name,
        "overrides": overrides,
        "seeds": len(runs),
        "machine": cpu_model(),
        "date": time.strftime("%Y-%m-%d"),
        "window": pooled(runs, *window),
        "at": {
            str(mark): pooled(runs, mark, mark)
            for mark in MARKS
            if any(mark in evaluations(run) for run in runs)
        },
        "steps_to_90": [first_at(run, 0.9) for run in runs],
        "seconds_a_run": seconds,
        "evaluations": {run.name: evaluations(run) for run in runs},
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    compare_runs(runs, RUNS)
    (RUNS / "comparison.svg").rename(RESULTS / f"{name}.svg")
    print(name, len(runs), "seeds:", json.dumps(result["window"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="+", help="tasks, and overrides with a '='")
    parser.add_argument("--name", help="name of the curve (the task's)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--window", type=int, nargs=2, default=None, metavar=("FROM", "TO"))
    options = parser.parse_intermixed_args()
    tasks = [word for word in options.words if "=" not in word]
    overrides = [word for word in options.words if "=" in word]
    for task in tasks:
        name = options.name or task
        runs: list[Path] = []
        for seed in range(options.seeds):
            runs.append(train(name, task, seed, options.steps, overrides))
            window = tuple(options.window or (options.steps * 6 // 10, options.steps))
            summarise(name, runs, (window[0], window[1]), overrides)


if __name__ == "__main__":
    main()
