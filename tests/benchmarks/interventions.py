"""What a person in the loop is worth: plain RLPD with few demonstrations, alone and with simulated
operators. Resumable, one run after the other, results as files (see curves.py).

  python tests/benchmarks/interventions.py peg_insert --steps 6000 --seeds 1
  python tests/benchmarks/interventions.py peg_insert --skills 0.9 0.5 --seeds 3

docs/results/<task>_alone.json and <task>_skill_<percent>.json are the curves;
docs/results/<task>_interventions.json has steps to 95 % and the share of steps a person chose.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from curves import RESULTS, RUNS, Results, opened, train

from robot_rl.metrics.reader import read_metrics

PLAIN = ["agent.learner.bc_weight=0", "demos.episodes=5"]
SPAN = 1000
"""Environment steps over which the share of a person's steps is told."""


def steps_to_95(results: Results, seed: str) -> int | None:
    """Steps of the first evaluation with at least nineteen of twenty."""
    table = sorted(results.evaluations[seed])
    return next((step for step, good, n in table if good >= 0.95 * n), None)


def human_share(run: Path) -> list[float]:
    """Share of a person's steps in each span of the run, by its finished episodes."""
    mine: dict[int, list[int]] = {}
    for episode in read_metrics(run).episodes:
        span = mine.setdefault((episode.step - 1) // SPAN, [0, 0])
        span[0] += episode.human_steps
        span[1] += episode.steps
    return [round(human / steps, 4) for _, (human, steps) in sorted(mine.items())]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task")
    parser.add_argument("--skills", type=float, nargs="*", default=[0.9])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6000)
    options = parser.parse_args()
    arms = {"alone": PLAIN}
    for skill in options.skills:
        arms[f"skill_{round(100 * skill)}"] = [*PLAIN, "teleop=simulated", f"teleop.skill={skill}"]
    path = RESULTS / f"{options.task}_interventions.json"
    told: dict[str, dict[str, object]] = json.loads(path.read_text()) if path.exists() else {}
    for seed in range(options.seeds):
        for arm, overrides in arms.items():
            window = (options.steps * 6 // 10, options.steps)
            results = opened(f"{options.task}_{arm}", overrides, window)
            train(results, options.task, seed, options.steps)
            results.write()
            run = RUNS / f"{results.name}-s{seed}"
            if run.exists():
                told.setdefault(arm, {})[str(seed)] = {
                    "steps_to_95": steps_to_95(results, str(seed)),
                    f"human_share_by_{SPAN}": human_share(run),
                }
            path.write_text(json.dumps(told, indent=1) + "\n")
            print(arm, "seed", seed, json.dumps(told.get(arm, {}).get(str(seed))), flush=True)


if __name__ == "__main__":
    main()
