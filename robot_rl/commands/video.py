"""Evaluation episodes as an MP4; used by eval and train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot_rl.errors import ConfigError
from robot_rl.interfaces import Policy
from robot_rl.report.video import overlay, write_mp4
from robot_rl.runtime.evaluator import EvaluationResult, evaluate
from robot_rl.types import Array

FPS = 10


def record_video(
    env: Any, policy: Policy, path: Path, *, episodes: int, seed: int
) -> EvaluationResult:
    """Evaluates and writes what `env.render()` shows; ConfigError if it shows nothing."""
    frames: list[Array] = []

    def keep(episode: int, step: int) -> None:
        image = env.render()
        if image is None:
            raise ConfigError("this environment renders no images; leave --video out")
        frames.append(overlay(image, f"episode {episode}  step {step}"))

    result = evaluate(env, policy, episodes=episodes, seed=seed, on_frame=keep)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, frames, FPS)
    return result
