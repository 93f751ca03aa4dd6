"""Who acts: the human whenever hands are on, else the policy. A pure function and its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robot_rl.errors import PoisonedDataError
from robot_rl.types import Action, Array, Source, TeleopSample


@dataclass(frozen=True, slots=True)
class InterventionState:
    """What arbitration remembers between steps."""

    on: bool = False
    takeovers: int = 0
    """Takeovers so far; the present one's id while `on`."""


def arbitrate(
    proposal: Array,
    sample: TeleopSample | None,
    intervention: InterventionState,
    *,
    proposal_source: Source = Source.POLICY,
) -> tuple[Action, InterventionState]:
    """The action that goes to the environment, and the memory for the next step.

    proposal (dim,) in [-1, 1]; `sample` None means hands off. Both proposal and human action are
    kept in the Action. Raises PoisonedDataError on NaN or infinity: clipping would let NaN pass.
    """
    if not np.isfinite(proposal).all():
        raise PoisonedDataError(f"the policy proposed {proposal}; valid: finite, in [-1, 1]")
    clipped = np.clip(proposal, -1.0, 1.0).astype(np.float32)
    if sample is None:
        return Action(clipped, proposal_source, clipped, None, 0), replace(intervention, on=False)
    if sample.action.shape != clipped.shape or not np.isfinite(sample.action).all():
        raise PoisonedDataError(
            f"the teleoperation device gave {sample.action}; "
            f"valid: {clipped.shape[0]} finite values"
        )
    human = np.clip(sample.action, -1.0, 1.0).astype(np.float32)
    takeovers = intervention.takeovers + (not intervention.on)
    return Action(human, Source.HUMAN, clipped, human, takeovers), InterventionState(
        True, takeovers
    )
