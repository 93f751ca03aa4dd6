"""Evaluation episodes as a video; used by eval and train."""

from __future__ import annotations

from pathlib import Path

from robot_rl.commands.common import settings_of
from robot_rl.errors import ConfigError, RobotRLError, SpecError, UserCodeError
from robot_rl.factory import make_env, make_policy
from robot_rl.interfaces import Policy, RobotEnvironment
from robot_rl.report.video import VideoWriter, as_frame, overlay
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.evaluator import EvaluationResult, evaluate, load_policy, snapshots
from robot_rl.runtime.rundir import RunDir
from robot_rl.types import Array

FPS = 10.0
"""Of an environment that says neither its rate nor its frames a second."""


class NoVideo(RobotRLError):
    """The environment cannot be drawn here, and why."""


def drawn(env: RobotEnvironment) -> Array:
    """(H, W, 3) uint8 of what `env.render()` shows; NoVideo with the reason where it shows none."""
    try:
        return as_frame(env.render())
    except UserCodeError as error:
        cause = error.__cause__
        if isinstance(cause, NotImplementedError):
            raise NoVideo("this environment renders no images") from cause
        hint = ""
        if isinstance(cause, ImportError) or "imageio" in str(cause):
            hint = "; a package is missing: pip install 'gymnasium[mujoco]' has those of MuJoCo"
        raise NoVideo(f"{error}{hint}") from cause
    except (ConfigError, SpecError) as error:
        raise NoVideo(str(error)) from error


def frame_rate(env: RobotEnvironment) -> float:
    """Frames a second at which a video of every step runs as fast as the environment does."""
    return env.spec.rate_hz if env.spec.rate_hz > 0 else FPS


def record_video(
    env: RobotEnvironment, policy: Policy, path: Path, *, episodes: int, seed: int, sampled: bool
) -> EvaluationResult:
    """Evaluates and writes what `env.render()` shows, frame by frame; NoVideo if it shows none."""
    with VideoWriter(path, frame_rate(env)) as video:

        def keep(episode: Episode) -> bool:
            video.add(overlay(drawn(env), f"episode {episode.index}  step {episode.steps}"))
            return True

        rollout = Rollout(env, Inline(policy))
        return evaluate(rollout, episodes=episodes, seed=seed, sampled=sampled, proceed=keep)


def video_of_run(folder: RunDir) -> Path | None:
    """evaluation.mp4 of a run's newest policy; None where none is wanted. NoVideo with the reason
    where it cannot be made: the run itself is none the worse."""
    cfg = folder.config()
    settings = settings_of(cfg)
    there = snapshots(folder.path)
    if settings.evaluation.video_episodes == 0 or not there:
        return None
    path = folder.path / "evaluation.mp4"
    try:
        env = make_env(cfg, render_mode="rgb_array")
        try:
            policy = make_policy(cfg, env.spec, seed=settings.seed)
            weights, version, _ = load_policy(there[-1][1])
            policy.load(weights, version)
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
    except NoVideo:
        raise
    except (RobotRLError, OSError) as error:
        raise NoVideo(" ".join(str(error).split())) from error
    return path
