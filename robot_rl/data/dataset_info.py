"""What is in a dataset, and whether it is whole: `robot-rl dataset info | verify`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.quarantine import Quarantine
from robot_rl.data.segments import check_segment, list_segments
from robot_rl.errors import DataError
from robot_rl.types import Source
from robot_rl.wire.record import Kind, poisoned


def dataset_info(path: Path | str) -> dict[str, Any]:
    """Describes a dataset, amendments applied; plain JSON values. Episodes of evaluation are
    counted apart, under their own name.

    Raises DataError where there is none or it is damaged.
    """
    path = Path(path)
    with LogReader(path) as reader:
        records = transitions = 0
        for chunk in reader.chunks():
            records += len(chunk.records)
            transitions += int((chunk.records["kind"] == Kind.STEP).sum())
        manifest, amendments = reader.manifest, Counter(a.action for a in reader.amendments)
    lengths, returns, success, sources = [], [], Counter[int](), Counter[int]()
    takeovers, human = set[tuple[str, int, int]](), 0
    evaluation = Counter[str]()
    for episode in read_episodes(path):
        if episode.evaluation:
            evaluation.update(
                episodes=1, transitions=episode.steps, successes=int(episode.success == 1)
            )
            continue
        steps = episode.records[1:]
        lengths.append(episode.steps)
        returns.append(episode.episode_return)
        success[episode.success] += 1
        sources.update(steps["source"].tolist())
        human += int((steps["source"] == Source.HUMAN).sum())
        numbers = np.unique(steps["intervention_id"][steps["intervention_id"] > 0]).tolist()
        takeovers |= {(episode.actor, episode.epoch, number) for number in numbers}
    used = sum(lengths)
    names = {int(source): source.name.lower() for source in Source}
    return {
        "path": str(path),
        "spec": manifest.spec.name,
        "spec_sha256": manifest.spec.sha256(),
        "observation": {a.name: f"{a.dtype}{list(a.shape)}" for a in manifest.spec.observation},
        "action_dim": manifest.spec.action_dim,
        "rate_hz": manifest.spec.rate_hz,
        "format": manifest.version,
        "codec": manifest.codec,
        "created": manifest.created,
        "meta": manifest.meta,
        "bytes": sum(file.stat().st_size for file in list_segments(path)),
        "records": records,
        "transitions_logged": transitions,
        "transitions": used,
        "episodes": len(lengths),
        "successes": success[1],
        "failures": success[0],
        "not_judged": success[-1],
        "length": _spread(lengths),
        "return": _spread(returns),
        "sources": {names.get(key, f"{key}"): count for key, count in sorted(sources.items())},
        "human_share": human / used if used else 0.0,
        "interventions": len(takeovers),
        "evaluation": dict(evaluation),
        "amendments": dict(amendments),
        "quarantined": Quarantine.count_in(path),
    }


def verify(path: Path | str) -> dict[str, Any]:
    """Reads everything with all checksums; raises DataError naming file and offset of damage.

    Also decodes every image, checks sequences, and looks for values that are not finite. A chunk
    cut off at the very end is reported, not refused: the next writer moves it aside.
    """
    path = Path(path)
    last: dict[tuple[str, int], int] = {}
    chunks = gaps = 0
    with LogReader(path) as reader:
        for chunk in reader.chunks():
            header, records = chunk.header, chunk.records
            chunks += 1
            key, before = (header.actor, header.epoch), last.get((header.actor, header.epoch), -1)
            where = f"{path} at position {header.position}"
            if header.first_sequence <= before:
                raise DataError(f"{where}: sequence {header.first_sequence} of '{key[0]}' twice")
            gaps += header.first_sequence != before + 1
            expected = header.first_sequence + np.arange(header.count, dtype=np.uint64)
            if (records["sequence"] != expected).any():
                raise DataError(f"{where}: sequences differ from the chunk's header")
            if why := poisoned(records):
                raise DataError(f"{where}: {why}")
            last[key] = header.first_sequence + header.count - 1
        position, amendments = reader.position, len(reader.amendments)
    segments = list_segments(path)
    torn = check_segment(segments[-1]).problem if segments else ""
    return {
        "path": str(path),
        "ok": True,
        "records": position,
        "chunks": chunks,
        "segments": len(segments),
        "amendments": amendments,
        "sequence_gaps": gaps,
        "torn_tail": torn,
    }


def _spread(values: list[int] | list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "min": float(min(values)),
        "median": float(np.median(values)),
        "mean": float(np.mean(values)),
        "max": float(max(values)),
    }
