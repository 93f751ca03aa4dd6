"""Start states of an actor: number k is a function of (run seed, actor id, k), and k goes on."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from robot_rl.data.whole_file import sync_path
from robot_rl.errors import DataError

SYNC_S = 1.0
"""The counter is synced to the disk at most this often; a killed process loses nothing of it."""
LINE = 64
"""Bytes of the file."""


def start_seeds(seed: int, actor: str, k: int) -> tuple[int, int]:
    """Seeds below 2³¹ of start state `k` and of what the policy draws from there on."""
    name = int.from_bytes(hashlib.blake2b(actor.encode(), digest_size=8).digest(), "little")
    words = np.random.SeedSequence([seed, name, k]).generate_state(2)
    return int(words[0]) >> 1, int(words[1]) >> 1


class StartStates:
    """starts = StartStates(path, seed, actor); env_seed, policy_seed = starts.next(steps)

    Keeps k, and the training steps of all lives, in a small file beside the actor's spool. A start
    state is counted when it is drawn, so the next life begins at the one after it.
    """

    def __init__(self, path: Path, seed: int, actor: str) -> None:
        """DataError where the file is damaged."""
        self._seed, self._actor = seed, actor
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        words = os.pread(self._file, LINE, 0).split()
        if words and not (len(words) == 2 and all(word.isdigit() for word in words)):
            raise DataError(f"'{path}' is damaged; valid: two numbers, or no such file")
        self.k, self.steps_before = (int(word) for word in words or ("0", "0"))
        self._synced = time.monotonic()
        if not words:
            self._write(0)
            os.fsync(self._file)
            sync_path(path.parent)

    def next(self, steps: int) -> tuple[int, int]:
        """The next start state's seeds; `steps`: training steps of this life so far."""
        seeds = start_seeds(self._seed, self._actor, self.k)
        self.k += 1
        self._write(steps)
        if time.monotonic() - self._synced > SYNC_S:
            os.fdatasync(self._file)
            self._synced = time.monotonic()
        return seeds

    def note(self, steps: int) -> None:
        """The training steps of this life so far."""
        self._write(steps)

    def close(self) -> None:
        """Syncs; may be called twice."""
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
            self._file = -1

    def _write(self, steps: int) -> None:
        line = f"{self.k:>31} {self.steps_before + steps:>31}\n"
        os.pwrite(self._file, line.encode(), 0)
