"""The evaluator: frozen policies on seeded episodes of an environment of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.errors import CheckpointError
from robot_rl.metrics.records import EvalRecord
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.runtime.tensors import read_tensors
from robot_rl.types import Array, Purpose

POLL_S = 0.2
VERSION = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Outcome of N seeded episodes with one frozen policy."""

    version: int
    seeds: list[int]
    successes: list[int]
    """Per episode 1, 0, or -1 where the environment does not judge."""
    returns: list[float]
    lengths: list[int]

    @property
    def success_rate(self) -> float:
        """Share of judged episodes that succeeded; NaN where none was judged."""
        judged = [s for s in self.successes if s >= 0]
        return sum(judged) / len(judged) if judged else float("nan")


def evaluate(
    rollout: Rollout,
    *,
    episodes: int,
    seed: int,
    sampled: bool = False,
    proceed: Callable[[Episode], bool] = lambda _: True,
) -> EvaluationResult:
    """Runs `episodes` episodes with reset seeds seed, seed + 1, …; the same seeds, the same result.

    The policy's mode acts, or (`sampled`) actions drawn as in training, from the same seeds.
    `proceed(episode)` is asked before each step; an episode that it ends is not counted, nor is any
    after it. RobotFault where a fault is latched that a person has to clear.
    """
    done: list[Episode] = []
    for index in range(episodes):
        episode = rollout.episode(
            seed + index,
            policy_seed=seed + index,
            purpose=Purpose.EVALUATION,
            deterministic=not sampled,
            proceed=proceed,
        )
        if not episode.done:
            break
        done.append(episode)
    return EvaluationResult(
        version=rollout.planner.version,
        seeds=list(range(seed, seed + len(done))),
        successes=[episode.success for episode in done],
        returns=[episode.episode_return for episode in done],
        lengths=[episode.steps for episode in done],
    )


def record_of(result: EvaluationResult, step: int) -> EvalRecord:
    """The metrics' record of an evaluation at environment step `step`."""
    return EvalRecord(
        step=step,
        version=result.version,
        episodes=len(result.lengths),
        successes=sum(s == 1 for s in result.successes),
        mean_return=float(np.mean(result.returns)),
        mean_length=float(np.mean(result.lengths)),
    )


def load_policy(path: Path) -> tuple[dict[str, Array], int, str]:
    """Weights, version and agent name of a policy snapshot; CheckpointError when it is none."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no policy snapshot; valid: <run>/policies/step-*.safetensors"
        )
    weights, meta = read_tensors(path)
    version = meta.get("version", "")
    if not VERSION.fullmatch(version):
        raise CheckpointError(f"{path}: no policy snapshot (its metadata has no version number)")
    return weights, int(version), meta.get("agent", "")


def snapshots(run_dir: Path) -> list[tuple[int, Path]]:
    """(environment steps, path) of every policy snapshot, oldest first."""
    paths = sorted((run_dir / "policies").glob("step-*.safetensors"))
    found = [(path.stem.partition("-")[2], path) for path in paths]
    return [(int(steps), path) for steps, path in found if VERSION.fullmatch(steps)]


def pending(
    run_dir: Path, done: set[int], stopping: Callable[[], bool]
) -> Iterator[tuple[int, Path]]:
    """Yields snapshots as they appear, in order; ends when `stopping()` and none is left."""
    while True:
        waiting = [item for item in snapshots(run_dir) if item[0] not in done]
        if waiting:
            done.add(waiting[0][0])
            yield waiting[0]
        elif stopping():
            return
        else:
            time.sleep(POLL_S)


def follow(
    rollout: Rollout,
    run_dir: Path,
    metrics: MetricsWriter,
    *,
    episodes: int,
    seed: int,
    sampled: bool,
    done: set[int],
    last: Callable[[], bool],
    abort: Callable[[], bool],
) -> None:
    """Evaluates each snapshot of a run; `last()` says that no more will come."""
    for steps, path in pending(run_dir, done, lambda: last() or abort()):
        weights, version, _ = load_policy(path)
        rollout.planner.load(weights, version)
        # Other start states each time: a pooled interval is only true of independent episodes.
        result = evaluate(
            rollout,
            episodes=episodes,
            seed=seed + steps,
            sampled=sampled,
            proceed=lambda _: not abort(),
        )
        if abort():
            return
        metrics.write(record_of(result, steps))
