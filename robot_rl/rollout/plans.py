"""From a policy's plans to the action of this step: pure, whatever made the plans and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.errors import SpecError
from robot_rl.types import Array, Plan


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one step, and where it comes from."""

    action: Array
    """(dim,) float32."""
    number: int
    """Of its plan, from 1."""
    plan: Plan


@dataclass(slots=True)
class PlanFollower:
    """Follows a plan, hands over to the next one, holds the last action in between.

    follower.clear()                          # reset, takeover, hand-back
    while acting:
        if follower.wants(step):
            follower.take(plan, step)         # when there is one
        proposal = follower.propose(step)     # None: nothing may be said yet

    A plan counts its actions from `start_step` on. One that comes late begins at the action for the
    present step: as many are left out as were really consumed since, by whatever plan. A plan that
    answers an observation from before the last `clear` is dropped. A plan that runs out repeats its
    last action for `patience` steps; then nothing is proposed, and the loop keeps the setpoint.
    """

    replan_every: int = 0
    """Asks for a new plan after so many of its steps (receding horizon); 0: when it runs out."""
    patience: int = 3
    number: int = 0
    """Plans taken so far."""
    _plan: Plan | None = None
    _length: int = 0
    _floor: int = 0

    def clear(self, step: int = 0) -> None:
        """Forgets the plan; only plans that start at `step` or later are taken from here on."""
        self._plan, self._floor = None, step

    def wants(self, step: int) -> bool:
        """Whether a new plan is due at this step."""
        if self._plan is None:
            return True
        used = step - self._plan.start_step
        return used >= (min(self.replan_every or self._length, self._length))

    def take(self, plan: Plan, step: int) -> bool:
        """Hands over to `plan`; False where it was asked for before the last `clear` or is no newer
        than the present one. SpecError when it has no valid action or starts in the future."""
        newest = self._plan.start_step if self._plan is not None else self._floor
        if plan.start_step < max(newest, self._floor):
            return False
        length = len(plan.actions)
        if length > 1 and not plan.valid.all():
            length = int(np.argmin(plan.valid))
        if length == 0 or plan.start_step > step:
            raise SpecError(
                f"a plan of {length} valid actions from step {plan.start_step} at step {step}; "
                "valid: at least one, from a step that has been observed"
            )
        self._plan, self._length = plan, length
        self.number += 1
        return True

    def propose(self, step: int) -> Proposal | None:
        """The action for this step; None before the first plan and once patience is over."""
        plan = self._plan
        if plan is None:
            return None
        index = step - plan.start_step
        if index >= self._length:
            if index >= self._length + self.patience:
                return None
            index = self._length - 1
        return Proposal(plan.actions[index], self.number, plan)
