"""Who acts: a person whenever hands are on, else the policy. A pure function and its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_rl.errors import PoisonedDataError
from robot_rl.types import Action, Array, Source

MAX_AGE_NS = 100_000_000
"""A sample older than this is of a device that is lost (facts on budgets: hold within 100 ms)."""


@dataclass(frozen=True, slots=True)
class InterventionState:
    """What arbitration remembers between steps."""

    on: bool = False
    takeovers: int = 0
    """Takeovers so far; the present one's id while `on`."""


def arbitrate(
    proposal: Array,
    motion: Array | None,
    memory: InterventionState,
    hold: Array,
    *,
    stale: bool = False,
    proposal_source: Source = Source.POLICY,
    human_source: Source = Source.HUMAN,
) -> tuple[Action, InterventionState]:
    """The action that goes to the environment, and the memory for the next step.

    proposal, hold (dim,) in [-1, 1]; motion (dim,) is what a person asks for, None with hands off;
    NaN in a dimension of it means that of `hold`, the action that keeps the setpoint. `stale`: the
    device has not reported for too long. A stale device starts nothing; one that is lost while a
    person acts holds, and only a fresh sample gives the policy its turn again.

    Both proposal and human action are kept in the Action. Raises PoisonedDataError on NaN in the
    proposal and infinities in both: clipping would let NaN pass.
    """
    if not np.isfinite(proposal).all():
        raise PoisonedDataError(f"the policy proposed {proposal}; valid: finite, in [-1, 1]")
    clipped = proposal.clip(-1.0, 1.0).astype(np.float32)
    if stale and memory.on:
        return Action(hold, Source.SCRIPT, clipped, None, memory.takeovers), memory
    if motion is None or stale:
        memory = replace(memory, on=False) if memory.on else memory
        return Action(clipped, proposal_source, clipped, None, 0), memory
    if motion.shape != clipped.shape or np.isinf(motion).any():
        raise PoisonedDataError(
            f"the operator gave {motion}; valid: {clipped.shape[0]} values, finite or NaN to hold"
        )
    filled = np.where(np.isnan(motion), hold, motion)
    human = np.clip(filled, -1.0, 1.0).astype(np.float32)
    takeovers = memory.takeovers + (not memory.on)
    return Action(human, human_source, clipped, human, takeovers), InterventionState(
        True, takeovers
    )
