"""The evaluator's process: its own environment, every policy snapshot of a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from robot_rl.commands.child_config import EvaluatorConfig
from robot_rl.commands.common import settings_of
from robot_rl.factory import check_same_spec, make_env, make_policy
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.evaluator import follow
from robot_rl.runtime.rundir import RunDir


def run_evaluator(config: EvaluatorConfig, stopping: Callable[[], bool]) -> None:
    """Evaluates until `finished` exists and no snapshot is left, or until SIGTERM."""
    run_dir = config.path
    folder = RunDir(run_dir)
    cfg = folder.config()
    settings = settings_of(cfg)
    with closing(make_env(cfg)) as env:
        if not (folder.specified or folder.wait_for_log(stopping)):
            return
        check_same_spec(env.spec, folder.spec(), f"run {run_dir}")
        policy = make_policy(cfg, env.spec, seed=settings.seed)
        done = {record.step for record in read_metrics(run_dir).evals}
        with MetricsWriter(run_dir, "evaluator", origin_s=config.origin_s) as metrics:
            follow(
                Rollout(env, Inline(policy)),
                run_dir,
                metrics,
                episodes=settings.evaluation.episodes,
                seed=settings.evaluation.seed,
                sampled=settings.evaluation.sampled,
                done=done,
                last=folder.finished.exists,
                abort=stopping,
            )
