"""Evaluate a run's policy on N seeded episodes; the same seeds give the same result.

robot-rl eval runs/mine
robot-rl eval runs/mine --episodes 100 --seed 7 --json --video eval.mp4
robot-rl eval runs/mine --step 5000            (an earlier snapshot)
robot-rl eval runs/mine --web                  (a page in a browser that shows it, and stops)
robot-rl eval runs/mine --sampled              (actions drawn as in training, not the policy's mode)
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from robot_rl.commands.common import (
    add_config_dir,
    add_trust,
    check_writable,
    config_folders,
    settings_of,
)
from robot_rl.commands.console import check_console, console_of
from robot_rl.commands.output import emit
from robot_rl.commands.trust import check_targets
from robot_rl.commands.video import record_video
from robot_rl.errors import CheckpointError, ConfigError
from robot_rl.factory import agent_name, check_same_spec, make_agent, make_env, make_policy
from robot_rl.interfaces import Policy, RobotEnvironment
from robot_rl.report.statistics import wilson_interval
from robot_rl.report.video import check_suffix
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.operators import Nobody
from robot_rl.rollout.placement import Inline
from robot_rl.rollout.stop_watch import StopWatcher
from robot_rl.runtime.checkpoint import newest_checkpoint
from robot_rl.runtime.evaluator import EvaluationResult, evaluate, load_policy, snapshots
from robot_rl.runtime.rundir import RunDir
from robot_rl.specs import EnvSpec
from robot_rl.types import Array


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
    parser.add_argument("--web", action="store_true", help="show it in a browser, in real time")
    add_config_dir(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f"--episodes {options.episodes}; valid: 1 or more")
    folder = RunDir(options.run_dir)
    cfg = folder.config()
    if not options.trust:
        check_targets(cfg, folder.path, config_folders(options))
    settings = settings_of(cfg)
    if options.video is not None:
        check_suffix(options.video)
        check_writable(options.video)
    steps, weights, version = newest_policy(folder, cfg, options.step)
    if options.web and options.video is not None:
        raise ConfigError("--web and --video exclude each other; valid: one of them")
    check_console("web" if options.web else False)
    mode = None if options.video is None else "rgb_array"
    env = make_env(cfg, real_time=options.web, render_mode=mode)
    try:
        check_same_spec(env.spec, folder.spec(), f"run {options.run_dir}")
        policy = make_policy(cfg, env.spec, seed=settings.seed)
        policy.load(weights, version)
        seed = settings.evaluation.seed if options.seed is None else options.seed
        sampled = settings.evaluation.sampled if options.sampled is None else options.sampled
        how: dict[str, Any] = {"episodes": options.episodes, "seed": seed, "sampled": sampled}
        if options.video is not None:
            result = record_video(env, policy, options.video, **how)
        elif options.web:
            result = evaluate_in_view(env, policy, settings.console_port, **how)
        else:
            result = evaluate(Rollout(env, Inline(policy)), **how)
    finally:
        env.close()
    show(result, steps, sampled, options)
    return 0


def evaluate_in_view(
    env: RobotEnvironment, policy: Policy, port: int, **how: Any
) -> EvaluationResult:
    """Evaluates beside a page that shows it and may stop the robot, nothing else: what a person
    helps with is no figure of the policy's."""
    with console_of(env, Nobody(), "eval", port, acts=False) as console:
        rollout = Rollout(env, Inline(policy), moments=console.moments)
        with StopWatcher(console.operator, env):
            return evaluate(rollout, **how)


def newest_policy(
    folder: RunDir, cfg: DictConfig, step: int | None
) -> tuple[int, dict[str, Array], int]:
    """(environment steps, weights, version) of a snapshot, or of the last checkpoint where that is
    newer: what a run that was interrupted has learned since can be evaluated too."""
    there = snapshots(folder.path)
    if step is None:
        found, _ = newest_checkpoint(folder.checkpoints)
        if found is not None and found[1].block > (there[-1][0] if there else -1):
            arrays, state = found
            check_agent_name(state.agent, cfg, str(folder.checkpoints))
            weights = weights_of(cfg, folder.spec(), arrays)
            return state.block, weights, state.version
    steps, path = choose_snapshot(folder.path, step)
    loaded, version, agent = load_policy(path)
    check_agent_name(agent, cfg, str(path))
    return steps, loaded, version


def weights_of(cfg: DictConfig, spec: EnvSpec, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """What an agent with this state would publish; on the CPU, nothing compiled."""
    agent = make_agent(cfg, spec, seed=0, learns=False)
    agent.load_state(arrays)
    weights: dict[str, Array] = agent.policy_weights()
    return weights


def check_agent_name(found: str, cfg: DictConfig, where: str) -> None:
    """CheckpointError where weights are another agent's."""
    if found != agent_name(cfg):
        raise CheckpointError(f"{where} belongs to {found}; this run's agent is {agent_name(cfg)}")


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
