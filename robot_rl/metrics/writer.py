"""Metrics files of a run: appended line by line; reader.py reads and follows them.

A run folder holds `metrics/<process>.jsonl` (see records.py) and `tensorboard/<process>/`. Only
the JSON lines are read back; TensorBoard's files are for TensorBoard, and for its library alone is
anything heavy imported, at the first line.
"""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from robot_rl.errors import DataError
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.records import (
    EpisodeRecord,
    EventRecord,
    Record,
    scalars,
)
from robot_rl.types import EpisodeSummary

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

TENSORBOARD_FLUSH_S = 10
TENSORBOARD_QUEUE = 1000
"""Records that wait for its writing thread before a caller has to."""
BACKLOG = 10_000
CLOSE_S = 5.0
"""How long `close` waits for a disk that hangs."""
PROCESS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def session_origin(run_dir: Path) -> float:
    """Wall time, s, that `t` counts from: now, less what earlier sessions of the run lasted.

    One process calls it at the start of a session and hands the value to the others.
    """
    newest = max((record.t for record in read_metrics(run_dir).all()), default=0.0)
    return time.time() - newest


class MetricsWriter:
    """Appends records of one process; a second writer of the same name goes on where one ended.

    writer = MetricsWriter(run_dir, "learner", origin_s=origin)
    writer.write(LearnerRecord(step=1000, updates=4000, metrics={"critic_loss": 0.1}))
    writer.close()

    Each line is one `write` to a file opened for appending: nothing is lost when the process dies.
    """

    def __init__(
        self,
        run_dir: Path,
        process: str,
        *,
        origin_s: float | None = None,
        tensorboard: bool = True,
    ) -> None:
        """`origin_s` from `session_origin`; `tensorboard=False` spares the process its import."""
        if not PROCESS_NAME.fullmatch(process):
            raise DataError(
                f"process name {process!r} cannot name a metrics file; "
                "valid: letters, digits, '.', '_' and '-', beginning with a letter or digit"
            )
        self._run_dir = Path(run_dir)
        self._process = process
        self._origin_s = session_origin(self._run_dir) if origin_s is None else origin_s
        self._tensorboard = tensorboard
        self._writer: EventFileWriter | None = None
        path = self._run_dir / "metrics" / f"{process}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a torn last line stays alone on its line

    def write(self, record: Record) -> None:
        """Appends one record; its `t` is set here. OSError when the disk is full."""
        self._append(record, time.time())

    def _append(self, record: Record, now: float) -> None:
        record = msgspec.structs.replace(record, t=round(now - self._origin_s, 4))
        os.write(self._file, msgspec.json.encode(record, enc_hook=_plain) + b"\n")
        if self._tensorboard and (found := scalars(record)):
            self._to_tensorboard(found, record.step, now)

    def episode(self, summary: EpisodeSummary, step: int) -> None:
        """A finished training episode, at environment step `step` of all actors."""
        self.write(EpisodeRecord.of(summary, step))

    def event(self, text: str, step: int = 0, *, warning: bool = False, done: bool = False) -> None:
        """A line for people: console and report show it."""
        self.write(
            EventRecord(step=step, text=text, level="warning" if warning else "info", done=done)
        )

    def flush(self) -> None:
        """Lines are written at once; this brings TensorBoard's files up to date."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """May be called twice."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _to_tensorboard(self, found: dict[str, float], step: int, now: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            folder = str(self._run_dir / "tensorboard" / self._process)
            self._writer = EventFileWriter(folder, TENSORBOARD_QUEUE, TENSORBOARD_FLUSH_S)
        event = Event(wall_time=now, step=step)
        for tag, value in found.items():
            event.summary.value.add(tag=tag, simple_value=value)
        self._writer.add_event(event)


class BackgroundMetricsWriter(MetricsWriter):
    """For a control loop: `write` neither waits for the disk nor fails with it.

    A thread of its own appends. What the disk does not take is dropped and said once, on stderr;
    so are records beyond BACKLOG that wait for a disk that hangs.
    """

    def __init__(self, run_dir: Path, process: str, *, origin_s: float | None = None) -> None:
        super().__init__(run_dir, process, origin_s=origin_s, tensorboard=False)
        self.dropped = 0
        self._waiting: queue.SimpleQueue[tuple[Record, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._drain, name="metrics", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        if self._waiting.qsize() < BACKLOG:
            self._waiting.put((record, time.time()))
        else:
            self._drop("the disk hangs")

    def close(self) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            super().close()

    def _drain(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._append(*item)
            except OSError as error:
                self._drop(str(error))

    def _drop(self, why: str) -> None:
        if not self.dropped:
            text = f"WARNING: {self._process}: metrics are not written any more: {why}"
            print(text, file=sys.stderr, flush=True)
        self.dropped += 1


def _plain(value: object) -> object:
    """NumPy's scalars as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a metrics record holds {value!r}; valid: numbers and text")
