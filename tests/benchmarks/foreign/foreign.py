"""Learning curves on manipulation tasks of other packages, from 20 scripted demonstrations.

  python tests/benchmarks/foreign/foreign.py fetch_push --name default
  python tests/benchmarks/foreign/foreign.py cube_single --name plain agent.learner.bc_weight=0

Each package in an environment of its own (its MuJoCo differs), with what robot_rl needs:
  python -m venv venv-fetch; pip install torch==2.13.0 gymnasium-robotics==1.4.2 "mujoco<3.12"
  python -m venv venv-cube;  pip install torch==2.13.0 ogbench==1.2.2
Words with a '=' are overrides; without any, what is run is what a user gets. Runs lie in
runs/foreign/<task>-<name>-s<seed>; an interrupted one goes on. The curves of all seeds so far are
written to docs/results/foreign-<task>-<name>.json after each run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from foreign_tasks import TASKS, ForeignTask

from robot_rl.envs.gym_env import GymEnv
from robot_rl.metrics.reader import read_metrics
from robot_rl.report.statistics import wilson_interval
from robot_rl.runtime.by_function import as_expert
from robot_rl.runtime.record import ScriptedPolicy, record_demos
from robot_rl.runtime.rundir import cpu_model

RUNS, RESULTS = Path("runs/foreign"), Path("docs/results")
DEMOS, NOISE, EVERY, EPISODES = 20, 0.2, 1000, 50
WATCHED = ("q_mean", "td_error", "entropy", "action_saturation")


def demonstrations(name: str, task: ForeignTask) -> Path:
    """The dataset of 20 episodes, recorded where it is missing."""
    path = RUNS / "demos" / name
    if not (path / "manifest.json").exists():
        env = GymEnv(task.id)
        policy = ScriptedPolicy(as_expert(env, task.expert), noise=NOISE, seed=1000)
        recording = record_demos(env, policy, path, episodes=DEMOS, seed=1000)
        env.close()
        print(f"{path}: {recording.kept} kept, {recording.discarded} failed", flush=True)
    return path.resolve()


def train(
    name: str, task: ForeignTask, demos: Path, seed: int, steps: int, words: list[str]
) -> Path:
    """One run to its end; gives its folder."""
    folder = RUNS / f"{name}-s{seed}"
    if (folder / "config.yaml").exists():
        arguments = [f"resume={folder}", f"steps={steps}"]
    else:
        arguments = [
            "env=gym", f"env.id={task.id}", f"demos.path={demos}", f"seed={seed}",
            f"steps={steps}", f"run={folder}", f"evaluation.every={EVERY}",
            f"evaluation.episodes={EPISODES}", "evaluation.video_episodes=0", *words,
        ]  # fmt: skip
    if max(evaluations(folder), default=0) < steps:
        started = time.monotonic()
        command = [sys.executable, "-m", "robot_rl.cli", "train", "--json", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"{folder}: {time.monotonic() - started:.0f} s", flush=True)
    return folder


def evaluations(folder: Path) -> dict[int, tuple[int, int]]:
    """Environment steps → (successes, episodes)."""
    if not folder.exists():
        return {}
    return {
        record.step: (record.successes, record.episodes) for record in read_metrics(folder).evals
    }


def watched(folder: Path) -> dict[int, dict[str, float]]:
    """Environment steps → the learner's figures there: means over the 1,000 steps before."""
    marks: dict[int, list[Mapping[str, float]]] = {}
    for record in read_metrics(folder).learner:
        if set(WATCHED) <= set(record.metrics):
            marks.setdefault(-(-record.step // EVERY) * EVERY, []).append(record.metrics)
    return {
        mark: {key: float(f"{np.mean([f[key] for f in figures]):.3g}") for key in WATCHED}
        for mark, figures in sorted(marks.items())
    }


def summarise(name: str, task: ForeignTask, runs: list[Path], words: list[str]) -> None:
    """Writes the curves: successes at each mark, all seeds together and one by one."""
    curves = [evaluations(run) for run in runs]
    together = {}
    for mark in sorted(set.intersection(*(set(curve) for curve in curves))):
        wins = sum(curve[mark][0] for curve in curves)
        count = sum(curve[mark][1] for curve in curves)
        low, high = wilson_interval(wins, count)
        together[mark] = [wins, count, round(low, 3), round(high, 3)]
    result = {
        "name": name,
        "env": task.id,
        "versions": {n: version(n) for n in (task.package, "mujoco", "gymnasium", "torch")},
        "overrides": words,
        "demonstrations": {"episodes": DEMOS, "noise": NOISE},
        "machine": cpu_model(),
        "date": time.strftime("%Y-%m-%d"),
        "successes_episodes_low_high": together,
        "successes": [{mark: wins for mark, (wins, _) in sorted(c.items())} for c in curves],
        "learner": [watched(run) for run in runs],
    }
    path = RESULTS / f"foreign-{name}.json"
    path.write_text(json.dumps(result, separators=(",", ":")).replace(',"', ',\n"', 8) + "\n")
    print(name, len(runs), "seeds:", json.dumps(together), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("words", nargs="*", help="overrides")
    parser.add_argument("--name", default="default", help="name of the variant")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10_000)
    options = parser.parse_intermixed_args()
    task, name = TASKS[options.task], f"{options.task}-{options.name}"
    demos, runs = demonstrations(options.task, task), []
    for seed in range(options.seeds):
        runs.append(train(name, task, demos, seed, options.steps, options.words))
        summarise(name, task, runs, options.words)


if __name__ == "__main__":
    main()
