"""Whole episodes of a dataset, with its amendments applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from robot_rl.data.amend import Amendment, EpisodeColumns, apply
from robot_rl.data.log_reader import LogReader, read_amendments
from robot_rl.types import Array, Purpose
from robot_rl.wire.record import Kind


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode: a START record and its STEPs."""

    records: Array
    """(1 + steps,) records; the first one is the START, whatever was trimmed."""
    actor: str
    epoch: int
    episode: int
    success: int
    """Of the last step: 1, 0, or -1 not judged."""
    complete: bool
    """Ended in terminated or truncated; False where the stream broke off or was trimmed."""

    @property
    def steps(self) -> int:
        return len(self.records) - 1

    @property
    def evaluation(self) -> bool:
        """Its purpose is no training: no data to learn from."""
        return bool(self.records["purpose"][0] != Purpose.TRAINING)

    @property
    def episode_return(self) -> float:
        """Sum of the rewards, undiscounted."""
        return float(self.records["reward"][1:].sum(dtype=np.float64))


@dataclass(slots=True)
class _Open:
    """An episode still being collected."""

    pieces: list[Array]
    positions: list[Array]
    next_sequence: int
    ended: bool


def read_episodes(path: Path | str) -> Iterator[Episode]:
    """Every episode that has a step to learn from, in the order in which they end in the log;
    those that broke off come when their actor's next one starts, or last.

    Discarded episodes are left out, trimmed ones shortened, relabels applied, those that came
    long after the episode too. Raises DataError as LogReader does.
    """
    amendments: dict[tuple[str, int, int], list[Amendment]] = {}
    for amendment in read_amendments(path):
        amendments.setdefault(amendment.key, []).append(amendment)
    for actor, epoch, found in _collect(path):
        number = int(found.pieces[0]["episode"][0])
        episode = _finish(found, actor, epoch, amendments.get((actor, epoch, number), []))
        if episode is not None:
            yield episode


def _collect(path: Path | str) -> Iterator[tuple[str, int, _Open]]:
    """Unbroken runs of records of one episode."""
    running: dict[tuple[str, int], _Open] = {}
    with LogReader(path) as reader:
        for chunk in reader.chunks():
            key = chunk.header.actor, chunk.header.epoch
            for start, stop in unbroken(chunk.records):
                piece = chunk.records[start:stop].copy()
                position = np.arange(start, stop) + chunk.header.position
                before = running.get(key)
                if before is not None and not _continues(before, piece[0]):
                    yield *key, before
                    before = None
                if before is None:
                    before = running[key] = _Open([], [], 0, False)
                before.pieces.append(piece)
                before.positions.append(position)
                before.next_sequence = int(piece["sequence"][-1]) + 1
                before.ended = bool(piece["terminated"][-1] or piece["truncated"][-1])
                if before.ended:
                    yield *key, running.pop(key)
    for key, left in running.items():
        yield *key, left


def unbroken(records: Array) -> list[tuple[int, int]]:
    """Slices of records that belong to one unbroken episode each."""
    ended = (records["terminated"] | records["truncated"]).astype(bool)
    breaks = (records["kind"][1:] == Kind.START) | ended[:-1]
    breaks |= records["episode"][1:] != records["episode"][:-1]
    breaks |= records["sequence"][1:] != records["sequence"][:-1] + 1
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(records)]
    return list(pairwise(edges))


def _continues(before: _Open, record: Array) -> bool:
    return (
        record["kind"] == Kind.STEP
        and record["episode"] == before.pieces[-1]["episode"][-1]
        and int(record["sequence"]) == before.next_sequence
    )


def _finish(found: _Open, actor: str, epoch: int, amendments: list[Amendment]) -> Episode | None:
    records = np.concatenate(found.pieces)
    columns = EpisodeColumns(
        position=np.concatenate(found.positions),
        step=records["step"],
        keep=records["kind"] == Kind.STEP,
        reward=records["reward"],
        terminated=records["terminated"],
        success=records["success"],
    )
    columns.keep[0] = False  # the first record has no observation before it
    for amendment in amendments:
        apply(amendment, columns)
    kept = np.flatnonzero(columns.keep)
    if not len(kept):
        return None
    records = records[kept[0] - 1 : kept[-1] + 1]
    first = records[0]
    first["kind"], first["terminated"], first["truncated"], first["reward"] = Kind.START, 0, 0, 0.0
    last = records[-1]
    return Episode(
        records,
        actor,
        epoch,
        int(last["episode"]),
        int(last["success"]),
        bool(last["terminated"] or last["truncated"]),
    )
