"""Datasets made of others, and episodes taken out of one; nothing that was written is changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.manifest import read_manifest, require_spec
from robot_rl.errors import DataError
from robot_rl.wire.amendment import Amendment

MERGED = "merged"
"""The actor of a merged dataset."""


def merge(paths: Sequence[Path], out: Path) -> int:
    """Copies the episodes of several datasets, amendments applied, into a new one; gives how many.

    Raises SpecError listing the differences where their specifications do, DataError where `out`
    is not empty or a dataset is damaged.
    """
    first = read_manifest(paths[0])
    for path in paths[1:]:
        require_spec(path, read_manifest(path), first.spec)
    meta = {"merged_from": [str(path.resolve()) for path in paths]}
    episodes = sequence = 0
    with LogWriter.create(out, first.spec, codec=first.codec, meta=meta) as writer:
        for path in paths:
            for episode in read_episodes(path):
                records = episode.records.copy()
                records["sequence"] = range(sequence, sequence + len(records))
                records["episode"] = episodes
                writer.append_records(records, actor=MERGED, epoch=1)
                sequence += len(records)
                episodes += 1
    return episodes


def discard(path: Path, number: int) -> None:
    """Takes one episode out of what is learned from, by an amendment; `number` counts from 0 those
    that `read_episodes` gives. `record --append` then records another in its place."""
    found = next(islice(read_episodes(path), number, None), None) if number >= 0 else None
    if found is None:
        count = sum(1 for _ in read_episodes(path))
        raise DataError(f"{path}: no episode {number}; valid: 0 … {count - 1}")
    with LogWriter.open(path, read_manifest(path).spec) as writer:
        writer.amend(
            Amendment("discard", found.actor, found.epoch, found.episode, reason="by hand")
        )
