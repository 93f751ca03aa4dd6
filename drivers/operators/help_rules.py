"""When a watching expert steps in: rules on what a policy does, beside what the expert would do."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_rl.types import Array

STILL = 0.05
"""An expert's action shorter than this is no evidence: it would not move either."""


def progress(action: Array, wanted: Array) -> float:
    """How much of the expert's way an action goes: 1 all of it, 0 stuck, below 0 away from it.

    action, wanted (n,); NaN where the expert would hardly move.
    """
    length = float(wanted @ wanted)
    if length < STILL**2:
        return float("nan")
    return min(max(float(action @ wanted) / length, -1.0), 1.0)


@dataclass(slots=True)
class ProgressRule:
    """Stuck or drifting, which needs no value: over `window` judged steps the robot went less than
    `share` of the expert's way, in one of `parts` (indices of an action; motion and grippers are
    judged apart, since a gripper's ±1 would hide an arm that is stuck).
    """

    share: float
    window: int
    parts: Sequence[Sequence[int]]
    _seen: list[deque[float]] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = [deque(maxlen=self.window) for _ in self.parts]

    def clear(self) -> None:
        """Nothing has been seen: a new episode, or another one acts."""
        for seen in self._seen:
            seen.clear()

    def saw(self, action: Array, wanted: Array) -> None:
        """Notes one step: what was done (dim,), or proposed, and what the expert wanted then."""
        for part, seen in zip(self.parts, self._seen, strict=True):
            at = list(part)
            done = progress(action[at], wanted[at])
            if np.isfinite(done):
                seen.append(done)

    @property
    def behind(self) -> bool:
        """Whether a whole window of evidence says so."""
        return any(
            len(seen) == self.window and sum(seen) < self.share * self.window for seen in self._seen
        )

    @property
    def ahead(self) -> bool:
        """Whether the last `window` steps all went their share, wherever there was evidence."""
        known = [seen for seen in self._seen if len(seen)]
        return bool(known) and all(
            len(seen) == self.window and min(seen) >= self.share for seen in known
        )


@dataclass(frozen=True, slots=True)
class ValueRule:
    """The rule of RLIF's simulated experts (2311.12996, sec. 5): the policy's own value has fallen
    below a share of the expert's.

    The expert's value is that of one who solves the task in `expert_steps` for a reward of 1 at the
    end: discount ** (steps that it would still need by now).
    """

    share: float
    expert_steps: int
    discount: float

    def behind(self, value: float, step: int) -> bool:
        """value: the policy's estimate at step `step` of the episode, from 0."""
        left = max(self.expert_steps - step, 0)
        return value < self.share * self.discount**left
