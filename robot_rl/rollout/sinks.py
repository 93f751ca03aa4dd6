"""Where a rollout leaves what it saw: nowhere, or a dataset. (The ring's link is a sink too.)"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_rl.data.log_writer import LogWriter
from robot_rl.types import Array, Observation, Purpose, Transition
from robot_rl.wire.amendment import Amendment
from robot_rl.wire.record import NOTHING, new_record, record_dtype, write_start, write_step


class NullSink:
    """Keeps nothing."""

    def start(
        self,
        obs: Observation,
        episode: int,
        stamp_ns: int,
        boot_id: int,
        *,
        stamps: Mapping[str, int] = NOTHING,
        purpose: Purpose = Purpose.TRAINING,
        extras: Mapping[str, Array] = NOTHING,
    ) -> None:
        """Nothing to begin."""

    def step(self, transition: Transition) -> None:
        """Nothing to keep."""

    def close(self) -> None:
        """Nothing to free."""


class DatasetSink:
    """Holds one episode back until it is kept or dropped, so that a dataset has whole ones only.

    sink.start(...); sink.step(...) ...
    sink.keep()                       # or sink.drop()
    sink.close()                      # everything kept is on disk
    """

    def __init__(self, writer: LogWriter, actor: str, epoch: int = 1) -> None:
        self._writer, self._actor, self._epoch = writer, actor, epoch
        self._dtype = record_dtype(writer.spec)
        self._rows: list[Array] = []
        self._sequence = self._episode = 0

    @property
    def transitions(self) -> int:
        """Of the episode held back."""
        return max(0, len(self._rows) - 1)

    def start(
        self,
        obs: Observation,
        episode: int,
        stamp_ns: int,
        boot_id: int,
        *,
        stamps: Mapping[str, int] = NOTHING,
        purpose: Purpose = Purpose.TRAINING,
        extras: Mapping[str, Array] = NOTHING,
    ) -> None:
        row = new_record(self._dtype)
        write_start(
            row,
            obs,
            episode=self._episode,
            stamp_ns=stamp_ns,
            boot_id=boot_id,
            sequence=self._sequence,
            stamps=stamps,
            purpose=purpose,
            extras=extras,
        )
        self._rows = [row]

    def step(self, transition: Transition) -> None:
        row = new_record(self._dtype)
        write_step(row, transition)
        row["episode"], row["sequence"] = self._episode, self._sequence + len(self._rows)
        self._rows.append(row)

    def keep(self) -> int:
        """Appends the episode, and gives its number once it would survive a crash of the host; the
        next one follows it without a gap."""
        rows = np.concatenate(self._rows)
        self._writer.append_records(rows, actor=self._actor, epoch=self._epoch)
        self._writer.sync()
        self._sequence += len(rows)
        self._episode += 1
        self._rows = []
        return self._episode - 1

    def undo(self, number: int) -> None:
        """Takes a kept episode out of what is learned from, by an amendment."""
        reason = "taken back by a person"
        self._writer.amend(Amendment("discard", self._actor, self._epoch, number, reason=reason))
        self._writer.sync()

    def drop(self) -> None:
        """As if the episode had never been."""
        self._rows = []

    def close(self) -> None:
        """Syncs and closes the dataset."""
        try:
            self._writer.sync()
        finally:
            self._writer.close()
