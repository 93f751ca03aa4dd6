"""Evaluation episodes as an MP4; used by eval and train."""

from __future__ import annotations

from pathlib import Path

from gymnasium.error import DependencyNotInstalled

from robot_rl.commands.common import settings_of
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env, make_policy
from robot_rl.interfaces import Policy, RobotEnvironment
from robot_rl.report.video import overlay, write_mp4
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.evaluator import EvaluationResult, evaluate, load_policy, snapshots
from robot_rl.runtime.rundir import RunDir
from robot_rl.types import Array

FPS = 10


def record_video(
    env: RobotEnvironment, policy: Policy, path: Path, *, episodes: int, seed: int, sampled: bool
) -> EvaluationResult:
    """Evaluates and writes what `env.render()` shows; ConfigError if it shows nothing."""
    frames: list[Array] = []

    def keep(episode: Episode) -> bool:
        try:
            image = env.render()
        except DependencyNotInstalled as error:
            raise ConfigError(f"this environment cannot be drawn here: {error}") from error
        if image is None:
            raise ConfigError("this environment renders no images; leave --video out")
        frames.append(overlay(image, f"episode {episode.index}  step {episode.steps}"))
        return True

    rollout = Rollout(env, Inline(policy))
    result = evaluate(rollout, episodes=episodes, seed=seed, sampled=sampled, proceed=keep)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, frames, FPS)
    return result


def video_of_run(folder: RunDir) -> Path | None:
    """evaluation.mp4 of a run's newest policy; None where the environment shows nothing."""
    cfg = folder.config()
    settings = settings_of(cfg)
    there = snapshots(folder.path)
    if settings.evaluation.video_episodes == 0 or not there:
        return None
    env = make_env(cfg, render_mode="rgb_array")
    try:
        policy = make_policy(cfg, env.spec, seed=settings.seed)
        weights, version, _ = load_policy(there[-1][1])
        policy.load(weights, version)
        path = folder.path / "evaluation.mp4"
        record_video(
            env,
            policy,
            path,
            episodes=settings.evaluation.video_episodes,
            seed=settings.evaluation.seed,
            sampled=settings.evaluation.sampled,
        )
    finally:
        env.close()
    return path
