"""The typed settings of a run: what `configs/train.yaml` holds beside its groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta, Struct

from robot_rl.sampling import Interventions

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
    validation: Count = 0
    """Further episodes of the dataset, held out of all that is learned from."""
    prior: str | None = None
    """A dataset that is no demonstration."""
    interventions: Interventions = "all"
    """Which steps that people choose in the run count as demonstrations too."""


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


class WarmStart(Struct, frozen=True, rename={"source": "from"}):
    """What a fresh agent begins with."""

    source: str | None = None
    """`from`: a run, a checkpoint's folder or a policy file; None: nothing."""
    parts: tuple[str, ...] = ("actor", "critic")


@dataclass(frozen=True, slots=True)
class LearnerSettings:
    publish_every: Positive
    checkpoint_every: Positive
    keep_checkpoints: Positive
    credit_window: Positive
    metrics_every: Positive
    threads: Positive
    warm_start: WarmStart = field(default_factory=WarmStart)


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
    """Of `agent.replay`, what processes without the agent must know: they cannot ask its
    `sampling`, since it would load torch."""

    utd: Positive = 1
    """Critic updates of a block."""
    demo_ratio: Fraction = 0.0
    """Above 0 a run needs demonstrations."""
    warmup_steps: Count = 0
    """Environment steps of random actions before the first update."""


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
