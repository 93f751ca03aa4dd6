"""Which log prefix each update block may sample: what makes the learner a pure function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """One block (utd critic updates, one actor update) for each environment step.

    Block b samples only the first n(b) = max(warmup_steps, b + 1) environment steps, so updates
    never exceed utd x ingested steps, and the same log and seed give the same learner.
    """

    steps: int
    """Environment steps of the whole run."""
    warmup_steps: int
    credit_window: int
    """Environment steps that actors may run ahead of the learner."""

    def steps_for(self, block: int) -> int:
        """n(block): environment steps that must be in replay before the block."""
        return min(self.steps, max(self.warmup_steps, block + 1))

    @property
    def blocks(self) -> int:
        """Blocks of the whole run."""
        return self.steps

    def granted(self, block: int) -> int:
        """Environment steps that actors may have taken in total while `block` is next."""
        return min(self.steps, self.steps_for(block) + self.credit_window)
