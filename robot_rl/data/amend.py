"""What an amendment does to the columns of its episode.

Nothing is rewritten: readers apply amendments in log order. An amendment belongs to the log prefix
of `upper` records if its own position is below `upper`, exactly like a record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.types import Array
from robot_rl.wire.amendment import Amendment

__all__ = ["Amendment", "EpisodeColumns", "apply"]


@dataclass(slots=True)
class EpisodeColumns:
    """The columns of one episode (n,) that amendments read and change, in log order."""

    position: Array
    step: Array
    """0 for the START row."""
    keep: Array
    """bool: the row is a transition to learn from; False for START."""
    reward: Array
    terminated: Array
    success: Array


def apply(amendment: Amendment, rows: EpisodeColumns) -> None:
    """Changes the columns of the amended episode in place."""
    if amendment.action == "discard":
        rows.keep[:] = False
    elif amendment.action == "trim":
        first = amendment.first_step or 1
        last = np.inf if amendment.last_step is None else amendment.last_step
        rows.keep &= (rows.step >= first) & (rows.step <= last)
    else:
        _relabel(amendment, rows)


def _relabel(amendment: Amendment, rows: EpisodeColumns) -> None:
    if amendment.step is None:
        chosen = np.flatnonzero(rows.keep & (rows.position < amendment.position))[-1:]
    else:
        chosen = np.flatnonzero(rows.keep & (rows.step == amendment.step))
    if amendment.success is not None:
        rows.success[chosen] = amendment.success
    if amendment.reward is not None:
        rows.reward[chosen] = amendment.reward
    if amendment.terminated is not None:
        rows.terminated[chosen] = amendment.terminated
