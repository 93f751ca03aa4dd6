"""Records demonstrations: an expert (scripted, or a person's device) acts, the log keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import DataError
from robot_rl.intervention import InterventionState, arbitrate
from robot_rl.runtime.acting import as_expert
from robot_rl.types import Array, LimitStage, Observation, Source, TeleopSample, Transition
from robot_rl.wire.record import new_record, record_dtype, write_start, write_step

APART = 100_000
"""Between the reset seeds of one life of a recording and the next: none comes twice."""


@dataclass(slots=True)
class Recording:
    """Counts of one recording."""

    kept: int = 0
    discarded: int = 0
    transitions: int = 0
    sequence: int = 0
    epoch: int = 1
    """Lives of this recording: 1, and one more each time it is gone on with."""


def counted(path: Path, actor: str) -> tuple[int, int]:
    """Whole episodes in a dataset, and the epoch in which `actor` goes on with it."""
    episodes = sum(episode.complete for episode in read_episodes(path))
    with LogReader(path) as reader:
        epochs = [c.header.epoch for c in reader.chunks() if c.header.actor == actor]
    return episodes, max(epochs, default=0) + 1


def record_demos(
    env: Any,
    policy: Callable[..., Any],
    path: Path | str,
    *,
    episodes: int = 20,
    seed: int = 1000,
    noise: float = 0.0,
    keep_failures: bool = False,
    codec: str = "png",
    actor: str = "expert",
    by: str = "",
    append: bool = False,
    on_episode: Callable[[Recording], None] = lambda _: None,
) -> Recording:
    """Writes episodes into a new dataset at `path`, or (`append`) on to `episodes` in an old one.

    policy: any of `action(obs)`, `action(env)` (a parameter of that name) and `action()`, see
    `acting.as_expert`; Gaussian `noise` (standard deviation in action units) is added before an
    action is executed, so that demonstrations show corrections. `by` names it in the manifest.
    Failed episodes are left out unless `keep_failures`; after 3 failures in a row beyond what was
    asked for, DataError says that the policy does not solve the task. What was finished stays when
    this is interrupted.
    """
    spec, path, expert = env.data_spec, Path(path), as_expert(env, policy)
    meta = {"seed": str(seed), "noise": str(noise), "recorded_by": by or actor}
    recording = Recording()
    if append:
        writer = LogWriter.open(path, spec)
        recording.kept, recording.epoch = counted(path, actor)
        seed += APART * (recording.epoch - 1)
    else:
        writer = LogWriter.create(path, spec, codec=codec, meta=meta)
    rng = np.random.default_rng(seed)
    try:
        attempt = 0
        while recording.kept < episodes:
            rows, success = _episode(env, expert, seed + attempt, recording, rng, noise, actor)
            attempt += 1
            if success == 0 and not keep_failures:
                recording.discarded += 1
                recording.sequence = int(rows["sequence"][0])
                if recording.discarded > 3 + episodes:
                    raise DataError(
                        f"{recording.discarded} of {attempt} demonstrations failed; {path} has the "
                        f"{recording.kept} others"
                    )
                continue
            writer.append_records(rows, actor=actor, epoch=recording.epoch)
            recording.kept += 1
            recording.transitions += len(rows) - 1
            on_episode(recording)
        writer.sync()
    finally:
        writer.close()
    return recording


def _episode(
    env: Any,
    expert: Callable[[Observation], Array | TeleopSample],
    seed: int,
    recording: Recording,
    rng: np.random.Generator,
    noise: float,
    actor: str,
) -> tuple[Array, int]:
    """One episode's records (n,) and its success (1, 0, or -1 not judged)."""
    dtype = record_dtype(env.data_spec)
    obs, info = env.reset(seed=seed)
    rows = [new_record(dtype)]
    write_start(
        rows[0],
        obs,
        episode=recording.kept,
        stamp_ns=int(info["stamp_ns"]),
        boot_id=int(info["boot_id"]),
        sequence=recording.sequence,
    )
    recording.sequence += 1
    done, intervention = False, InterventionState()
    while not done:
        wish = expert(obs)
        vector = wish.action if isinstance(wish, TeleopSample) else wish
        noisy = np.clip(vector + rng.normal(0.0, noise, vector.shape), -1, 1).astype(np.float32)
        action, intervention = arbitrate(noisy, None, intervention, proposal_source=Source.DEMO)
        next_obs, reward, terminated, truncated, info = env.step(action.vector)
        row = new_record(dtype)
        write_step(
            row,
            Transition(
                obs=obs,
                action=info["executed"],
                proposed=action.proposed,
                human=np.full_like(action.vector, np.nan),
                commanded=info["commanded"],
                limiting_stage=LimitStage(info["limiting_stage"]),
                reward=float(reward),
                next_obs=next_obs,
                terminated=bool(terminated),
                truncated=bool(truncated),
                success=int(info["success"]),
                source=action.source,
                intervention_id=0,
                policy_version=0,
                actor=actor,
                epoch=recording.epoch,
                sequence=recording.sequence,
                episode=recording.kept,
                step=len(rows),
                stamp_ns=int(info["stamp_ns"]),
                action_stamp_ns=int(info["action_stamp_ns"]),
                boot_id=int(info["boot_id"]),
            ),
        )
        rows.append(row)
        recording.sequence += 1
        obs, done = next_obs, bool(terminated or truncated)
    return np.concatenate(rows), int(info["success"])
