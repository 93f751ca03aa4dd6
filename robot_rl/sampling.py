"""What an agent says of the data it learns from, and what a schedule says of one update block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

PoolName: TypeAlias = Literal["online", "demo", "prior", "success", "intervention", "validation"]
"""online: training steps of the log. demo: demonstrations, and what people did online. prior: a
dataset that is no demonstration. success: episodes that ended in success. intervention: steps a
person chose. validation: held out of all others."""


@dataclass(frozen=True, slots=True)
class PoolShare:
    """A pool and its share of each batch; shares of one Sampling add up to 1."""

    name: PoolName
    share: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """Declared by the agent; replay gives just that."""

    batch_size: int
    """Rows of one critic update."""
    utd: int
    """Critic updates a block; a block has utd * batch_size rows."""
    pools: tuple[PoolShare, ...] = (PoolShare("online", 1.0),)
    history: int = 1
    """Observations a row, oldest first; the first of an episode repeats."""
    horizon: int = 1
    """Actions a row, from the row's step on: Batch.action (N, horizon, dim) and valid (N, horizon)
    where above 1."""
    n_step: int = 1
    """Rewards summed until the bootstrap; with a horizon the horizon's own."""
    discount: float = 0.99
    proposed_ratio: float = 0.0
    """Share of online rows with the proposed in place of the executed action."""
    reward_scale: float = 1.0
    reward_shift: float = 0.0
    """Rewards become reward_scale * r + reward_shift."""
    return_to_go: bool = False
    """Whether Batch.return_to_go is wanted."""


@dataclass(frozen=True, slots=True)
class Block:
    """One update block: which steps of the log it may sample, and what follows it."""

    index: int
    lower: int
    """Training steps that must be in replay before it."""
    upper: int
    """It samples only the first so many training steps of the log."""
    granted: int
    """Training steps that actors may have taken in total while it is next."""
    publish: bool = False
    """Weights go to the actors after it."""
    evaluate: bool = False
    """A frozen policy is left for the evaluator after it."""
    updates: bool = True
    """False: a wait for data only, nothing is updated (rounds of an on-policy algorithm)."""
