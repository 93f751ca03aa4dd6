"""Second thoughts about an episode, as they are sent and logged: discard, relabel, trim.

What they do to an episode stands in data/amend.py. One that goes over the wire has a token, a
random number by which ingest takes it once however often it is sent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from robot_rl.errors import UNREADABLE, DataError, PoisonedDataError

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


def with_token(amendment: Amendment) -> Amendment:
    """The same with a token of its own, to be sent."""
    return replace(amendment, token=secrets.randbits(64) | 1)
