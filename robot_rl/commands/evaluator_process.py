"""The evaluator's process: its own environment, every policy snapshot of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from robot_rl.commands.common import settings_of
from robot_rl.factory import check_same_spec, make_env, make_policy
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.evaluator import follow
from robot_rl.runtime.rundir import RunDir


def run_evaluator(run_dir: Path, arguments: Sequence[str], stopping: Callable[[], bool]) -> int:
    """Evaluates until `run_dir/finished` exists and no snapshot is left, or until SIGTERM."""
    folder = RunDir(run_dir)
    cfg = folder.config()
    settings = settings_of(cfg)
    env = make_env(cfg)
    if not (folder.specified or folder.wait_for_log(stopping)):
        env.close()
        return 0
    check_same_spec(env.data_spec, folder.spec(), f"run {run_dir}")
    policy = make_policy(cfg, env.data_spec, seed=settings.seed)
    done = {record.step for record in read_metrics(run_dir).evals}
    with MetricsWriter(run_dir, "evaluator", origin_s=float(arguments[0])) as metrics:
        follow(
            env,
            policy,
            run_dir,
            metrics,
            episodes=settings.evaluation.episodes,
            seed=settings.evaluation.seed,
            sampled=settings.evaluation.sampled,
            done=done,
            last=folder.finished.exists,
            abort=stopping,
        )
    env.close()
    return 0
