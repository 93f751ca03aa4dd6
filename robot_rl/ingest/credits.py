"""Sharing the learner's grant among the actors: nobody starves, and the log never outgrows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Account:
    """One life of an actor."""

    steps: int = 0
    """STEP records of training episodes that it took and that are in the log (or were
    quarantined)."""
    allowed: int = 0
    """Steps it may take in total."""

    @property
    def outstanding(self) -> int:
        return max(0, self.allowed - self.steps)


def share(granted: int, total_steps: int, active: Sequence[Account]) -> bool:
    """Raises `allowed` of the active lives; True if any changed.

    `granted` STEP records may be in the log, `total_steps` are. What is neither logged nor
    promised is shared so that the outstanding steps become as equal as they can: an actor that
    waits (hardware between episodes) keeps no more than its part.
    """
    free = granted - total_steps - sum(account.outstanding for account in active)
    changed = False
    order = sorted(active, key=lambda account: account.outstanding)
    for index, account in enumerate(order):
        if free <= 0:
            break
        level = -(-(free + sum(a.outstanding for a in order[index:])) // (len(order) - index))
        extra = min(free, max(0, level - account.outstanding))
        if extra:
            account.allowed = max(account.allowed, account.steps) + extra
            free -= extra
            changed = True
    return changed
