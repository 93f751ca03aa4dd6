"""The typed settings of a run: what `configs/train.yaml` holds beside its groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]


@dataclass(frozen=True, slots=True)
class DemoSettings:
    path: str | None
    folder: str
    episodes: Count
    seed: int
    noise: Fraction
    """Standard deviation of what is added to a scripted expert's actions, in action units."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    capacity: Positive
    memory_limit_gb: float | None


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    every: Positive
    episodes: Count
    seed: int
    video_episodes: Count
    where: Literal["process", "actor"] = "process"
    """In an environment of its own, or between the actor's training episodes."""
    sampled: bool = False
    """Actions drawn as in training, in place of the policy's mode."""


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    publish_every: Positive
    checkpoint_every: Positive
    keep_checkpoints: Positive
    credit_window: Positive
    metrics_every: Positive
    threads: Positive


@dataclass(frozen=True, slots=True)
class ActorSettings:
    policy_period_slack_ms: float
    real_time: bool
    wait: Literal["step", "episode", "never"]
    fifo: bool
    nice: int
    policy: Literal["inline", "process"] = "inline"
    """Where the policy acts: in the loop, or in a process of its own that answers with plans."""
    replan_every: Count = 0
    operator_stale_ms: float = 100.0


@dataclass(frozen=True, slots=True)
class WireSettings:
    """What `configs/wire/*.yaml` hold."""

    address: str | None
    insecure: bool
    sync_ms: float
    spool_sync_ms: float
    spool_mb: Positive
    keys: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class AgentNumbers:
    """The numbers of an agent's YAML that the runtime shares with the learner."""

    utd: Positive
    """Critic updates an environment step; one block = utd critic updates + one actor update."""
    batch_size: Positive
    demo_ratio: Fraction
    discount: Fraction
    n_step: Positive
    warmup_steps: Count
    """Environment steps of random actions before the first update."""
    proposed_ratio: Fraction = 0.5
    """Share of the online rows with the proposed in place of the executed action."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    seed: Count
    steps: Positive
    actors: Positive
    run: str | None
    resume: str | None
    demos: DemoSettings
    replay: ReplaySettings
    evaluation: EvaluationSettings
    learner: LearnerSettings
    actor: ActorSettings
    console: bool
