"""The lines of a run's metrics files, one typed record each; torch-free, cheap to import.

A line is JSON with its record's name under "kind". Times `t` are seconds since the run began, the
time between sessions of a resumed run left out; `step` counts environment steps of all actors.
A figure that is not finite is written, and read, as null (`None`).
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from robot_rl.types import EpisodeSummary

Figure: TypeAlias = float | None
Figures: TypeAlias = dict[str, float | None]


class RunRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="run", kw_only=True):
    """The start of a session of the run; a resumed run has several.

    A learner alone leaves a second one when its first actor has sent the task.
    """

    t: float = 0.0
    step: int = 0
    task: str
    robot: str
    agent: str
    seed: int = 0
    steps: int = 0
    """Environment steps the run was asked for."""
    utd: float = 0.0
    """Update-to-data ratio that was asked for."""


class EpisodeRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="episode", kw_only=True):
    """One finished training episode."""

    t: float = 0.0
    step: int
    actor: str
    episode: int
    steps: int
    episode_return: Figure
    success: int
    """1 success, 0 none, -1 not judged."""
    interventions: int = 0
    human_steps: int = 0

    @classmethod
    def of(cls, summary: EpisodeSummary, step: int) -> EpisodeRecord:
        """The record of a finished episode at environment step `step`."""
        return cls(
            step=step,
            actor=summary.actor,
            episode=summary.episode,
            steps=summary.steps,
            episode_return=summary.episode_return,
            success=summary.success,
            interventions=summary.interventions,
            human_steps=summary.human_steps,
        )


class LearnerRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="learner", kw_only=True):
    """The state of the learner, every so many update blocks."""

    t: float = 0.0
    step: int
    """Environment steps in replay."""
    updates: int
    """Critic updates done."""
    updates_per_s: Figure = None
    utd_true: Figure = None
    """Updates done over environment steps ingested since learning began."""
    version: int = 0
    """Weight version last published."""
    staleness: Figure = None
    """Newest published version minus the version that acted, mean over the newest transitions."""
    queues: dict[str, int] = {}
    """Depth of every queue, in items."""
    metrics: Figures = {}
    """What the agent reports (critic_loss, q, entropy, temperature, td_error…)."""
    seconds: Figures = {}
    """Seconds of this session spent in each stage so far (update, sample, publish, wait…)."""


class ActorRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="actor", kw_only=True):
    """The state of one actor, every second or so."""

    t: float = 0.0
    step: int
    """Environment steps of this actor."""
    actor: str
    steps_per_s: Figure = None
    overruns: int = 0
    """Control periods that began late, since the actor began."""
    staleness: Figure = None
    """Versions behind the newest published one."""
    version: int = 0
    queues: dict[str, int] = {}
    seconds: Figures = {}
    """Seconds of this session spent in each stage so far (policy, environment, wait…)."""


class EvalRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="eval", kw_only=True):
    """One evaluation of one frozen version."""

    t: float = 0.0
    step: int
    """Environment steps in replay when the version was published."""
    version: int
    episodes: int
    successes: int
    mean_return: Figure = None
    mean_length: Figure = None


class EventRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="event", kw_only=True):
    """Something worth a line: a reconnect, a checkpoint, a warning, the end."""

    t: float = 0.0
    step: int = 0
    text: str
    level: Literal["info", "warning", "error"] = "info"
    done: bool = False
    """True for the event that ends the run."""


Record: TypeAlias = (
    RunRecord | EpisodeRecord | LearnerRecord | ActorRecord | EvalRecord | EventRecord
)


def scalars(record: Record) -> dict[str, float]:
    """The finite figures of a record by TensorBoard tag, e.g. "learner/critic_loss"."""
    if isinstance(record, RunRecord | EventRecord):
        return {}
    kind = str(record.__struct_config__.tag)
    prefix = f"{kind}/{record.actor}" if isinstance(record, ActorRecord) else kind
    found: dict[str, float] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, dict):
            group = "" if name == "metrics" else f"{name}_"
            items = [(f"{group}{key}", item) for key, item in value.items()]
        else:
            items = [(name, value)]
        for key, item in items:
            number = isinstance(item, int | float | np.number) and math.isfinite(item)
            if number and key not in ("t", "step", "episode"):
                found[f"{prefix}/{key}"] = float(item)
    if isinstance(record, EpisodeRecord) and record.success < 0:
        del found["episode/success"]
    if isinstance(record, EvalRecord) and record.episodes:
        found["eval/success_rate"] = record.successes / record.episodes
    return found
