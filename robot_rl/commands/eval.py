"""Evaluate a run's policy on N seeded episodes; the same seeds give the same result.

robot-rl eval runs/mine
robot-rl eval runs/mine --episodes 100 --seed 7 --json --video eval.mp4
robot-rl eval runs/mine --step 5000            (an earlier snapshot)
robot-rl eval runs/mine --sampled              (actions drawn as in training, not the policy's mode)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.commands.common import add_config_dir, config_folders, settings_of
from robot_rl.commands.output import emit
from robot_rl.commands.trust import check_targets
from robot_rl.commands.video import record_video
from robot_rl.errors import CheckpointError, ConfigError
from robot_rl.factory import agent_name, check_same_spec, make_env, make_policy
from robot_rl.report.statistics import wilson_interval
from robot_rl.runtime.evaluator import EvaluationResult, evaluate, load_policy, snapshots
from robot_rl.runtime.rundir import RunDir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="first reset seed (the run's own)")
    parser.add_argument("--step", type=int, default=None, help="snapshot to use (the newest)")
    parser.add_argument(
        "--sampled",
        action=argparse.BooleanOptionalAction,
        help="draw actions as in training (the run's evaluation.sampled)",
    )
    parser.add_argument("--video", type=Path, default=None, help="write an MP4 of the episodes")
    add_config_dir(parser)


def run(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f"--episodes {options.episodes}; valid: 1 or more")
    folder = RunDir(options.run_dir)
    cfg = folder.config()
    check_targets(cfg, folder.path, config_folders(options))
    settings = settings_of(cfg)
    steps, path = choose_snapshot(options.run_dir, options.step)
    weights, version, agent = load_policy(path)
    if agent != agent_name(cfg):
        raise CheckpointError(f"{path} belongs to {agent}; this run's agent is {agent_name(cfg)}")
    env = make_env(cfg, render_mode=None if options.video is None else "rgb_array")
    try:
        check_same_spec(env.data_spec, folder.spec(), f"run {options.run_dir}")
        policy = make_policy(cfg, env.data_spec, seed=settings.seed)
        policy.load(weights, version)
        seed = settings.evaluation.seed if options.seed is None else options.seed
        sampled = settings.evaluation.sampled if options.sampled is None else options.sampled
        how: dict[str, Any] = {"episodes": options.episodes, "seed": seed, "sampled": sampled}
        if options.video is not None:
            result = record_video(env, policy, options.video, **how)
        else:
            result = evaluate(env, policy, **how)
    finally:
        env.close()
    show(result, steps, sampled, options)
    return 0


def choose_snapshot(run_dir: Path, step: int | None) -> tuple[int, Path]:
    """(environment steps, path); CheckpointError lists what there is."""
    there = snapshots(run_dir)
    if not there:
        raise CheckpointError(f"'{run_dir}' has no policy snapshot yet (policies/ is empty)")
    if step is None:
        return there[-1]
    for item in there:
        if item[0] == step:
            return item
    raise CheckpointError(
        f"no snapshot at step {step}; valid: {', '.join(str(s) for s, _ in there)}"
    )


def show(result: EvaluationResult, steps: int, sampled: bool, options: argparse.Namespace) -> None:
    """Prints the outcome with its 95 % interval."""
    judged = [s for s in result.successes if s >= 0]
    low, high = wilson_interval(sum(judged), len(judged)) if judged else (0.0, 1.0)
    if options.json:
        emit(
            {
                "run": str(options.run_dir),
                "env_steps": steps,
                "version": result.version,
                "episodes": len(result.lengths),
                "sampled": sampled,
                "success_rate": result.success_rate,
                "success_interval_95": [low, high],
                "mean_return": float(np.mean(result.returns)),
                "mean_length": float(np.mean(result.lengths)),
                "per_episode": [
                    {"seed": seed, "success": success, "return": total, "length": length}
                    for seed, success, total, length in zip(
                        result.seeds, result.successes, result.returns, result.lengths, strict=True
                    )
                ],
            }
        )
        return
    print(
        f"{options.run_dir}, policy after {steps} environment steps, {len(result.lengths)} episodes"
        + (", actions sampled" if sampled else "")
    )
    if judged:
        rate = f"{sum(judged)}/{len(judged)} = {result.success_rate:.1%}"
        print(f"success {rate} (95 %: {low:.1%}–{high:.1%})")
    print(f"return {np.mean(result.returns):.2f}, length {np.mean(result.lengths):.1f} steps")
