"""Episodes summed up while their records pass, wherever they were acted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robot_rl.data.episodes import unbroken
from robot_rl.types import Array, EpisodeSummary, Purpose, Source
from robot_rl.wire.chunk import ChunkHeader
from robot_rl.wire.record import Kind


@dataclass(slots=True)
class _Sum:
    """An episode that has begun."""

    epoch: int
    episode: int
    next_sequence: int
    steps: int = 0
    episode_return: float = 0.0
    human_steps: int = 0
    takeovers: int = 0


class EpisodeTally:
    """Gives each training episode that was seen from its START to its end; those of evaluation
    are not summed up.

    for index, summary in tally.add(header, records):
        ...                                 # records[index] was the last of it
    """

    def __init__(self) -> None:
        self._open: dict[str, _Sum] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        """Life and number of an actor's newest takeover: one may go on into the next episode."""

    def add(self, header: ChunkHeader, records: Array) -> Iterator[tuple[int, EpisodeSummary]]:
        """Takes (n,) records of one actor's life, in order; gives what ended among them."""
        for start, stop in unbroken(records):
            rows = records[start:stop]
            begun = self._takeovers(header, rows)
            if rows["purpose"][0] != Purpose.TRAINING:
                self._open.pop(header.actor, None)
                continue
            if rows["kind"][0] == Kind.START:
                first, rows = rows[0], rows[1:]
                number, after = int(first["episode"]), int(first["sequence"]) + 1
                self._open[header.actor] = _Sum(header.epoch, number, after)
            found = self._open.get(header.actor)
            if found is None or not len(rows):
                continue
            if not _continues(found, header, rows[0]):
                del self._open[header.actor]  # broken off: no sum of it would be true
                continue
            found.takeovers += begun
            _count(found, rows)
            if rows["terminated"][-1] or rows["truncated"][-1]:
                del self._open[header.actor]
                yield stop - 1, _summary(header.actor, found, int(rows["success"][-1]))

    def _takeovers(self, header: ChunkHeader, rows: Array) -> int:
        """How many began in these rows; they are numbered upwards in each life, from 1."""
        epoch, newest = self._newest.get(header.actor, (header.epoch, 0))
        before = newest if epoch == header.epoch else 0
        numbers = np.unique(rows["intervention_id"])
        self._newest[header.actor] = header.epoch, max(before, int(numbers[-1]))
        return int((numbers > before).sum())


def _continues(found: _Sum, header: ChunkHeader, row: Array) -> bool:
    same = (header.epoch, int(row["episode"])) == (found.epoch, found.episode)
    return same and int(row["sequence"]) == found.next_sequence


def _count(found: _Sum, rows: Array) -> None:
    found.next_sequence = int(rows["sequence"][-1]) + 1
    found.steps += len(rows)
    found.episode_return += float(rows["reward"].sum(dtype=np.float64))
    found.human_steps += int((rows["source"] == Source.HUMAN).sum())


def _summary(actor: str, found: _Sum, success: int) -> EpisodeSummary:
    return EpisodeSummary(
        actor=actor,
        episode=found.episode,
        steps=found.steps,
        episode_return=found.episode_return,
        success=success,
        interventions=found.takeovers,
        human_steps=found.human_steps,
    )
