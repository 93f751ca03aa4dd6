"""A made-up run folder that looks like a real one, for the tests of this package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from robot_rl.metrics.records import (
    ActorRecord,
    EpisodeRecord,
    EvalRecord,
    LearnerRecord,
    Record,
    RunRecord,
)
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.report.video import overlay, write_mp4

UTD = 4
SECOND_PER_STEP = 1 / 30


class Clock:
    """Stands in for the wall clock, so that a run of minutes is written in no time."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def time(self) -> float:
        return self.now_s


def config_text(seed: int = 0, task: str = "pick_cube", steps: int = 10_000) -> str:
    return (
        f"# one run\nseed: {seed}\nsteps: {steps}\nactors: 1\n"
        f"agent:\n  replay:\n    utd: {UTD}\n    batch_size: 256\n"
        f"choices:\n  task: {task}\n  robot: fr3_sim\n  env: robot\n  agent: rlpd\n"
    )


def success_at(step: int, rng: np.random.Generator, half: int = 2500) -> bool:
    """A learning curve that passes one half at `half` steps."""
    return bool(rng.random() < 1 / (1 + np.exp(-(step - half) / 450)))


def records(seed: int, steps: int, *, judged: bool = True) -> list[Record]:
    """All records of a run in order; `t` is filled in from their steps on writing."""
    rng = np.random.default_rng(seed)
    found: list[Record] = []
    step = episode = 0
    next_eval = 500
    while step < steps:
        success = success_at(step, rng, 2500 + 200 * seed)
        length = int(rng.integers(18, 30)) if success else 60
        length = min(length, steps - step)
        step += length
        episode += 1
        human = int(rng.integers(5, 15)) if step < 2000 and rng.random() < 0.3 else 0
        found.append(
            EpisodeRecord(
                step=step,
                actor="actor-0",
                episode=episode,
                steps=length,
                episode_return=float(success) - 0.002 * length,
                success=int(success) if judged else -1,
                interventions=int(human > 0),
                human_steps=human,
            )
        )
        found.append(_learner(step, rng))
        found.append(_actor(step, rng))
        if step >= next_eval:
            good = sum(success_at(step + 600, rng, 2500 + 200 * seed) for _ in range(20))
            found.append(
                EvalRecord(
                    step=next_eval,
                    version=next_eval // 5,
                    episodes=20,
                    successes=good if judged else 0,
                    mean_return=good / 20 - 0.05,
                    mean_length=60 - 1.8 * good,
                )
            )
            next_eval += 500
    return found


def _learner(step: int, rng: np.random.Generator) -> LearnerRecord:
    decay = np.exp(-step / 1500)
    noise = rng.normal(1, 0.12, 8)
    updates = max(0, step - 200) * UTD
    seconds = step * SECOND_PER_STEP
    return LearnerRecord(
        step=step,
        updates=updates,
        updates_per_s=118.0 * noise[0],
        utd_true=updates / max(1, step - 200) if updates else 0.0,
        version=updates // 20,
        staleness=float(abs(1.2 * noise[1])),
        queues={"log": int(abs(4 * noise[2])), "ring": int(rng.integers(0, 3))},
        metrics={
            "critic_loss": float(0.02 * noise[3] + 0.15 * decay),
            "actor_loss": float(-0.7 * (1 - decay) * noise[4]),
            "q_mean": float(0.75 * (1 - decay) * noise[5]),
            "td_error": float(0.03 + 0.3 * decay * noise[6]),
            "entropy": float(-3.5 + 6 * decay * noise[7]),
            "temperature": float(0.002 + 0.01 * decay),
        },
        seconds={"learn": 0.78 * seconds, "wait": 0.22 * seconds},
    )


def _actor(step: int, rng: np.random.Generator) -> ActorRecord:
    seconds = step * SECOND_PER_STEP
    return ActorRecord(
        step=step,
        actor="actor-0",
        steps_per_s=float(30 * rng.normal(1, 0.05)),
        staleness=float(rng.integers(0, 3)),
        version=step // 5,
        seconds={"environment": 0.12 * seconds, "policy": 0.02 * seconds, "wait": 0.86 * seconds},
    )


def write_run(
    folder: Path,
    clock: Clock,
    *,
    seed: int = 0,
    steps: int = 10_000,
    judged: bool = True,
    video: bool = False,
    finished: bool = True,
) -> Path:
    """Writes a whole run; the caller has put `clock.time` in the place of `time.time`."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config_text(seed, steps=steps))
    machine = {
        "started": "2026-11-21 07:00:00 +0000",
        "python": "3.11.9",
        "cpu": "Some CPU @ 2.8 GHz",
        "cores": 2,
        "versions": {"robot-rl": "0.1.0", "torch": "2.13.0", "mujoco": "4.0.0"},
    }
    (folder / "run.json").write_text(json.dumps(machine))
    origin = clock.now_s
    with MetricsWriter(folder, "train", origin_s=origin, tensorboard=False) as writer:
        writer.write(
            RunRecord(
                task="pick_cube", robot="fr3_sim", agent="rlpd", seed=seed, steps=steps, utd=UTD
            )
        )
        for record in records(seed, steps, judged=judged):
            clock.now_s = origin + record.step * SECOND_PER_STEP
            writer.write(record)
        writer.event("checkpoint written", steps)
        if finished:
            writer.event("finished", steps, done=True)
    if video:
        write_video(folder / "video" / "eval.mp4")
    return folder


def write_video(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = []
    for step in range(24):
        image = np.full((128, 128, 3), 60, np.uint8)
        image[60:80, 4 * step : 4 * step + 20] = (230, 120, 40)
        frames.append(overlay(image, f"episode 1  step {step}", success=step == 23 or None))
    write_mp4(path, frames, 10)
