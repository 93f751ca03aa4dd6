"""What an agent says of the data it learns from, and what a schedule says of one update block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from robot_rl.errors import ConfigError

PoolName: TypeAlias = Literal["online", "demo", "prior", "success", "intervention", "validation"]
"""online: training steps of the log. demo: demonstrations, and what people did online. prior: a
dataset that is no demonstration. success: training episodes of the log that ended in success.
intervention: steps of the log that a person chose. validation: demonstrations held out of all
others."""

Interventions: TypeAlias = Literal["all", "success"]
"""Which steps that people chose online join the demo pool: all, or those of episodes that ended in
success."""


@dataclass(frozen=True, slots=True)
class PoolShare:
    """A pool and its share of each batch; shares of one Sampling add up to 1."""

    name: PoolName
    share: float
    weight: float = 1.0
    """Of its rows in the loss, see `Batch.weight`."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Declared by the agent; replay gives just that. Raises ConfigError on what makes no sense."""

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
    reward_scale: float | None = 1.0
    """None: from the datasets, 1 / max(1, their largest discounted return in magnitude), so that
    values are of order one as an agent's other weights (entropy, cloning) take them to be."""
    reward_shift: float = 0.0
    """Rewards become reward_scale * r + reward_shift."""
    return_to_go: bool = False
    """Whether Batch.return_to_go is wanted; only episodes that have ended are drawn then."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "utd", "history", "horizon", "n_step"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}; valid: 1 or more")
        ratios = {f"{pool.name} share": pool.share for pool in self.pools}
        ratios |= {"discount": self.discount, "proposed_ratio": self.proposed_ratio}
        for name, value in ratios.items():
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"{name} {value}; valid: 0 … 1")
        names = [pool.name for pool in self.pools]
        total = sum(pool.share for pool in self.pools)
        if len(set(names)) != len(names) or "validation" in names or abs(total - 1.0) > 1e-6:
            raise ConfigError(
                f"pools {names} with shares that add up to {total:g}; valid: each once, none of "
                "them validation, 1 in all"
            )
        if self.n_step > 1 and self.horizon > 1:
            raise ConfigError(
                f"n_step={self.n_step} with horizon={self.horizon}; valid: one of them above 1"
            )

    @property
    def rows(self) -> int:
        """Of a block."""
        return self.batch_size * self.utd


def demos_and_online(demo_ratio: float) -> tuple[PoolShare, ...]:
    """Pools of a batch with that share of demonstrations; ConfigError outside 0 … 1."""
    if not 0.0 <= demo_ratio <= 1.0:
        raise ConfigError(f"demo_ratio {demo_ratio}; valid: 0 … 1")
    shares = (PoolShare("demo", demo_ratio), PoolShare("online", 1.0 - demo_ratio))
    return tuple(share for share in shares if share.share > 0.0)


@dataclass(frozen=True, slots=True)
class Block:
    """One update block: which steps of the log it may sample, and what follows it."""

    index: int
    lower: int
    """Training steps that must be in replay before it."""
    upper: int
    """It samples only the first so many training steps of the log; at most `lower`, so that what
    it sees never depends on what else has arrived."""
    granted: int
    """Training steps that actors may have taken in total while it is next."""
    since: int = 0
    """It leaves out the first so many (rounds of an on-policy algorithm)."""
    step: int = 0
    """What curves and snapshots count after it: environment steps, or blocks of a learner that
    takes none."""
    random: bool = False
    """The steps it waits for are random ones: a learner whose agent is fresh publishes its first
    weights only when they are there."""
    publish: bool = False
    """Weights go to the actors after it."""
    evaluate: bool = False
    """A frozen policy is left for the evaluator after it."""
    newest: bool = False
    """The steps granted now must be acted by the newest weights published."""
