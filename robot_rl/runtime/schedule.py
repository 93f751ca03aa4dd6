"""Which update block comes next, and which log prefix it may sample: functions of the number of
blocks done, so that given log and seed the learner is a pure function. What has arrived decides
only whether a block waits.

An agent's YAML names its schedule (`agent.schedule._target_`); the numbers that all of them share
are the run's (`Run`).
"""

from __future__ import annotations

from dataclasses import dataclass

from robot_rl.errors import ConfigError
from robot_rl.sampling import Block


@dataclass(frozen=True, slots=True)
class Run:
    """The numbers of a run's config that a schedule takes."""

    steps: int
    """Environment steps of the whole run; blocks of a learner that takes none."""
    warmup_steps: int
    credit_window: int
    """Environment steps that actors may run ahead of the learner."""
    publish_every: int
    """Blocks between weight versions."""
    evaluate_every: int
    """Between frozen policies, counted as `Block.step` is."""


class OnlineSchedule:
    """One block (utd critic updates, one actor update) for each environment step.

    Block b samples only the first n(b) = max(warmup_steps, b + 1) environment steps, so updates
    never exceed utd x ingested steps. Until the warm-up is there, exactly that is granted, and no
    weights are published: a fresh agent's warm-up is so many random steps over all actors.
    """

    acts = True

    def __init__(self, run: Run) -> None:
        self._run = run

    def next(self, done: int) -> Block | None:
        run = self._run
        if done >= run.steps:
            return None
        lower = min(run.steps, max(run.warmup_steps, done + 1))
        random = done == 0 and run.warmup_steps > 0
        return Block(
            index=done,
            lower=lower,
            upper=lower,
            granted=lower if random else min(run.steps, lower + run.credit_window),
            step=done + 1,
            random=random,
            publish=(done + 1) % run.publish_every == 0,
            evaluate=(done + 1) % run.evaluate_every == 0 or done + 1 == run.steps,
        )


class OfflineSchedule:
    """Blocks on datasets alone: no steps, no actors, no log."""

    acts = False

    def __init__(self, run: Run, blocks: int | None = None) -> None:
        """blocks: of the whole run; None: as many as the run's `steps`."""
        self._run, self._blocks = run, run.steps if blocks is None else blocks
        if self._blocks < 1:
            raise ConfigError(f"blocks={blocks}; valid: 1 or more, or null")

    def next(self, done: int) -> Block | None:
        if done >= self._blocks:
            return None
        last = done + 1 == self._blocks
        evaluate = (done + 1) % self._run.evaluate_every == 0 or last
        return Block(done, lower=0, upper=0, granted=0, step=done + 1, evaluate=evaluate)


class FreezeThenGo:
    """First `frozen_steps` by the policy that was loaded, without an update; then one block a step
    (WSRL, 2412.07762: a warm-up by the pre-trained policy in place of its offline data)."""

    acts = True

    def __init__(self, run: Run, frozen_steps: int = 5000) -> None:
        self._run, self._frozen = run, frozen_steps
        if not 0 <= frozen_steps < run.steps:
            raise ConfigError(f"frozen_steps={frozen_steps}; valid: 0 … steps - 1")

    def next(self, done: int) -> Block | None:
        run, lower = self._run, self._frozen + done + 1
        if lower > run.steps:
            return None
        return Block(
            index=done,
            lower=lower,
            upper=lower,
            granted=min(run.steps, lower + run.credit_window * (done > 0)),
            step=lower,
            publish=(done + 1) % run.publish_every == 0,
            evaluate=lower % run.evaluate_every == 0 or lower == run.steps,
        )


class Rounds:
    """On-policy: a round of steps under one weights version, then `blocks` updates on it alone.

    Credit for a round names the version published after the last one; each version acts one round.
    """

    acts = True

    def __init__(self, run: Run, round_steps: int = 2048, blocks: int = 10) -> None:
        """blocks: of each round."""
        self._run, self._size, self._blocks = run, round_steps, blocks
        if not 1 <= round_steps <= run.steps or blocks < 1:
            raise ConfigError(
                f"round_steps={round_steps}, blocks={blocks}; valid: 1 … steps={run.steps}, and 1 "
                "or more"
            )

    def next(self, done: int) -> Block | None:
        round_, place = divmod(done, self._blocks)
        lower = (round_ + 1) * self._size
        if lower > self._run.steps:
            return None
        last = place + 1 == self._blocks
        every = self._run.evaluate_every
        ends = lower + self._size > self._run.steps
        return Block(
            index=done,
            lower=lower,
            upper=lower,
            granted=lower,
            since=lower - self._size,
            step=lower,
            publish=last,
            evaluate=last and (lower // every > (lower - self._size) // every or ends),
            newest=True,
        )
