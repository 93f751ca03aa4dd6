"""A run's metrics files read back, also while they grow; see writer.py for what writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from robot_rl.errors import UNREADABLE
from robot_rl.metrics.records import (
    ActorRecord,
    EpisodeRecord,
    EvalRecord,
    EventRecord,
    LearnerRecord,
    Record,
    RunRecord,
)


@dataclass(slots=True)
class RunMetrics:
    """Every record of a run, each kind in order of time."""

    runs: list[RunRecord] = field(default_factory=list)
    episodes: list[EpisodeRecord] = field(default_factory=list)
    learner: list[LearnerRecord] = field(default_factory=list)
    actors: list[ActorRecord] = field(default_factory=list)
    evals: list[EvalRecord] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    unreadable: int = 0
    """Lines that were torn, or of a kind this version does not know."""

    def add(self, record: Record) -> None:
        """Appends to the list of its kind."""
        match record:
            case RunRecord():
                self.runs.append(record)
            case EpisodeRecord():
                self.episodes.append(record)
            case LearnerRecord():
                self.learner.append(record)
            case ActorRecord():
                self.actors.append(record)
            case EvalRecord():
                self.evals.append(record)
            case EventRecord():
                self.events.append(record)

    def all(self) -> Iterator[Record]:
        for records in (
            self.runs,
            self.episodes,
            self.learner,
            self.actors,
            self.evals,
            self.events,
        ):
            yield from records


class MetricsTail:
    """Follows a run's metrics files: each `poll` gives the records written since the last."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = Path(run_dir) / "metrics"
        self._offsets: dict[Path, int] = {}
        self._decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
        self.unreadable = 0

    def poll(self) -> list[Record]:
        """New records in order of time; a line without its end is left for the next call."""
        found: list[Record] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            offset = self._offsets.get(path, 0)
            if path.stat().st_size <= offset:
                continue
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
            whole, newline, _ = data.rpartition(b"\n")
            self._offsets[path] = offset + len(whole) + len(newline)
            for line in whole.split(b"\n"):
                if (record := self._decode(line)) is not None:
                    found.append(record)
        found.sort(key=lambda record: record.t)
        return found

    def _decode(self, line: bytes) -> Record | None:
        if not line.strip():
            return None
        try:
            return self._decoder.decode(line)
        except UNREADABLE:
            self.unreadable += 1
            return None


def read_metrics(run_dir: Path) -> RunMetrics:
    """All records of a run so far; empty lists when it has none. A torn last line is left out."""
    tail = MetricsTail(run_dir)
    metrics = RunMetrics()
    for record in tail.poll():
        metrics.add(record)
    metrics.unreadable = tail.unreadable
    return metrics
