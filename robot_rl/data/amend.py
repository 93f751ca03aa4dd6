"""Second thoughts about an episode, appended to the log: discard, relabel, trim.

Nothing is rewritten: readers apply amendments in log order. An amendment belongs to the log prefix
of `upper` records if its own position is below `upper`, exactly like a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from robot_rl.errors import UNREADABLE, DataError, PoisonedDataError
from robot_rl.types import Array

MAX_REWARD = float(np.finfo(np.float32).max)
"""Beyond it a reward would become infinite in its record."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """What shall be thought of one episode (actor, epoch, episode) from now on."""

    action: Literal["discard", "relabel", "trim"]
    """discard: the episode is not learned from. relabel: one step gets another success, reward or
    terminated flag. trim: only steps `first_step` … `last_step` stay."""
    actor: str
    epoch: int
    episode: int
    step: int | None = None
    """relabel: which step; None means the last one kept that was logged before the amendment."""
    success: int | None = None
    reward: float | None = None
    terminated: bool | None = None
    first_step: int | None = None
    """trim: first step kept, counted from 1; its observation is the one before it."""
    last_step: int | None = None
    """trim: last step kept; not terminated unless relabelled, so learners bootstrap from it."""
    reason: str = ""
    stamp_ns: int = 0
    """Wall clock, ns since 1970; for people."""
    position: int = 0
    """Records in the log before it; given by the log."""
    token: int = 0
    """Random number (u64) of one that came over the wire, so that it is taken once; else 0."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Names the episode."""
        return self.actor, self.epoch, self.episode


def check(amendment: Amendment) -> None:
    """Raises DataError on an amendment that says nothing or contradicts itself."""
    where = f"{amendment.action} of episode {amendment.episode} of '{amendment.actor}'"
    labels = (amendment.success, amendment.reward, amendment.terminated)
    if amendment.action not in ("discard", "relabel", "trim"):
        raise DataError(f"{where}: valid: discard, relabel, trim")
    if amendment.action == "relabel" and all(label is None for label in labels):
        raise DataError(f"{where} changes nothing: give success, reward or terminated")
    if amendment.success not in (None, -1, 0, 1):
        raise DataError(f"{where}: success {amendment.success}; valid: -1, 0, 1")
    if amendment.reward is not None and not abs(amendment.reward) <= MAX_REWARD:
        raise PoisonedDataError(f"{where}: reward {amendment.reward}; valid: finite in float32")
    if not 0 <= amendment.token < 1 << 64:
        raise DataError(f"{where}: token {amendment.token}; valid: a u64")
    first, last = amendment.first_step, amendment.last_step
    if amendment.action == "trim" and first is None and last is None:
        raise DataError(f"{where} changes nothing: give first_step or last_step")
    if (first is not None and first < 1) or (last is not None and last < (first or 1)):
        raise DataError(f"{where}: steps {first} … {last}; valid: 1 <= first_step <= last_step")


def encode(amendment: Amendment) -> bytes:
    """A chunk's payload (msgpack); raises as `check` does."""
    check(amendment)
    return msgspec.msgpack.encode(amendment)


def decode(payload: bytes | memoryview) -> Amendment:
    """Reads `encode`; raises DataError on anything else."""
    try:
        amendment = msgspec.msgpack.decode(payload, type=Amendment)
    except UNREADABLE as error:
        raise DataError(f"not an amendment: {error}") from error
    check(amendment)
    return amendment


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
