"""Records demonstrations: an expert (scripted, or a person's device) acts, the log keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import DataError
from robot_rl.intervention import InterventionState, arbitrate
from robot_rl.types import Array, LimitStage, Source, TeleopSample, Transition
from robot_rl.wire.record import new_record, record_dtype, write_start, write_step


@dataclass(slots=True)
class Recording:
    """Counts of one recording."""

    kept: int = 0
    discarded: int = 0
    transitions: int = 0
    sequence: int = 0


def record_demos(
    env: Any,
    expert: Callable[[], Array | TeleopSample],
    path: Path,
    *,
    episodes: int,
    seed: int,
    noise: float = 0.0,
    keep_failures: bool = False,
    codec: str = "png",
    actor: str = "expert",
    on_episode: Callable[[Recording], None] = lambda _: None,
) -> Recording:
    """Writes `episodes` episodes into a new dataset at `path` (refused if it exists).

    expert: gives the action (dim,) for the present state; Gaussian `noise` (standard deviation in
    action units) is added before it is executed, so that demonstrations show corrections. Failed
    episodes are left out unless `keep_failures`; after 3 failures in a row beyond what was asked
    for, DataError says that the expert does not solve the task.
    """
    spec = env.data_spec
    meta = {"seed": str(seed), "noise": str(noise), "recorded_by": actor}
    rng = np.random.default_rng(seed)
    recording = Recording()
    writer = LogWriter.create(path, spec, codec=codec, meta=meta)
    try:
        attempt = 0
        while recording.kept < episodes:
            rows, success = _episode(env, expert, seed + attempt, recording, rng, noise, actor)
            attempt += 1
            if success == 0 and not keep_failures:
                recording.discarded += 1
                recording.sequence = int(rows["sequence"][0])
                if recording.discarded > 3 + episodes:
                    raise DataError(f"{recording.discarded} of {attempt} demonstrations failed")
                continue
            writer.append_records(rows, actor=actor, epoch=1)
            recording.kept += 1
            recording.transitions += len(rows) - 1
            on_episode(recording)
        writer.sync()
    finally:
        writer.close()
    return recording


def _episode(
    env: Any,
    expert: Callable[[], Array | TeleopSample],
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
        wish = expert()
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
                epoch=1,
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
