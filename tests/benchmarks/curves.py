"""Learning curves over seeds: resumable, one run after the other, results as files.

  python tests/benchmarks/curves.py pick_cube --steps 10000 --seeds 5 --window 6000 10000
  python tests/benchmarks/curves.py reach drawer_open peg_insert push_t --steps 50000 --seeds 3
  python tests/benchmarks/curves.py pick_cube --name plain_rlpd agent.learner.bc_weight=0

Runs lie in runs/curves/<name>-s<seed>; an interrupted one goes on, and one that ended at fewer
steps too. docs/results/<name>.json and .svg are written after each run, and hold all that a curve
needs: another machine goes on with the next seed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.records import EvalRecord
from robot_rl.report.compare import SVG_SIZE, pooled_chart
from robot_rl.report.statistics import wilson_interval
from robot_rl.runtime.rundir import cpu_model

MARKS = (10_000, 20_000, 50_000)
RUNS, RESULTS = Path("runs/curves"), Path("docs/results")


@dataclass
class Results:
    """Everything that is kept of a curve: one JSON file, an evaluation a line."""

    name: str
    overrides: list[str]
    window: tuple[int, int]
    """Steps between which evaluations are pooled."""
    machine: str = ""
    date: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    """Start to report, by seed."""
    evaluations: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """(environment steps, successes, episodes), by seed."""

    @property
    def pooled(self) -> dict[str, object]:
        """Successes of all evaluations within the window and at the marks; Wilson, 95 %."""
        spans = {"window": self.window} | {str(mark): (mark, mark) for mark in MARKS}
        return {name: found for name, span in spans.items() if (found := self._within(*span))}

    def _within(self, first: int, last: int) -> dict[str, object] | None:
        rows = [e for table in self.evaluations.values() for e in table if first <= e[0] <= last]
        if not rows:
            return None
        successes, episodes = sum(e[1] for e in rows), sum(e[2] for e in rows)
        return {
            "successes": successes,
            "episodes": episodes,
            "interval_95": [round(end, 4) for end in wilson_interval(successes, episodes)],
            "worst_evaluation": min(e[1] / e[2] for e in rows),
        }

    @property
    def steps_to_90(self) -> dict[str, int | None]:
        """Steps of each seed's first evaluation with at least nine of ten."""
        return {
            seed: next((step for step, good, n in sorted(table) if good >= 0.9 * n), None)
            for seed, table in self.evaluations.items()
        }

    def write(self) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        kept = asdict(self)
        evaluations = kept.pop("evaluations")
        kept |= {"pooled": self.pooled, "steps_to_90": self.steps_to_90}
        lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in kept.items()]
        tables = [f"  {json.dumps(s)}: {json.dumps(table)}" for s, table in evaluations.items()]
        lines.append(' "evaluations": {\n' + ",\n".join(tables) + "\n }")
        (RESULTS / f"{self.name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        seeds = [
            [EvalRecord(step=s, version=0, episodes=n, successes=k) for s, k, n in table]
            for table in self.evaluations.values()
        ]
        chart = pooled_chart({self.name.replace("_", " "): seeds})
        if chart is not None:
            svg = chart.svg(*SVG_SIZE, standalone=True)
            (RESULTS / f"{self.name}.svg").write_text(svg + "\n")


def opened(name: str, overrides: list[str], window: tuple[int, int]) -> Results:
    """What there is of a curve so far."""
    found = Results(name, overrides, window)
    path = RESULTS / f"{name}.json"
    if path.exists():
        kept = json.loads(path.read_text())
        found.seconds = kept["seconds"]
        found.machine, found.date = kept["machine"], kept["date"]
        found.evaluations = {s: [tuple(e) for e in t] for s, t in kept["evaluations"].items()}
    return found


def train(results: Results, task: str, seed: int, steps: int) -> None:
    """One run to its end, unless it is in the results."""
    key = str(seed)
    if max((e[0] for e in results.evaluations.get(key, [])), default=0) >= steps:
        return
    folder = RUNS / f"{results.name}-s{seed}"
    if (folder / "config.yaml").exists():
        words = [f"resume={folder}", f"steps={steps}"]
    else:
        own = [f"task={task}", f"seed={seed}", f"steps={steps}", f"run={folder}"]
        words = [*own, *results.overrides]
        results.seconds.pop(key, None)
    command = [sys.executable, "-m", "robot_rl.cli", "train", "--json", *words]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    spent = time.monotonic() - started
    results.seconds[key] = round(results.seconds.get(key, 0.0) + spent, 1)
    newest = {e.step: (e.step, e.successes, e.episodes) for e in read_metrics(folder).evals}
    results.evaluations[key] = [newest[step] for step in sorted(newest)]
    results.machine, results.date = cpu_model(), time.strftime("%Y-%m-%d")


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
        window = tuple(options.window or (options.steps * 6 // 10, options.steps))
        results = opened(options.name or task, overrides, (window[0], window[1]))
        for seed in range(options.seeds):
            train(results, task, seed, options.steps)
            results.write()
            print(results.name, "seed", seed, json.dumps(results.pooled["window"]), flush=True)


if __name__ == "__main__":
    main()
