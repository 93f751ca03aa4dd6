"""From the episode log into replay, exactly as far as the schedule says."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.data.replay import Replay
from robot_rl.types import Array
from robot_rl.wire.chunk import ChunkHeader
from robot_rl.wire.record import Kind

READ_AHEAD = 4096
"""Records taken from the log at a time."""


class Feeder:
    """Tails a log: `feeder.advance(n)` puts records into replay until it holds n steps."""

    def __init__(self, reader: LogReader, replay: Replay) -> None:
        self._reader, self._replay = reader, replay
        self._pending: deque[tuple[ChunkHeader, Array]] = deque()
        self.steps = 0
        """Environment steps in replay."""
        self.waiting = 0
        """Environment steps read from the log and not yet in replay."""
        self._amended = 0
        self.position = 0
        """Log position after the last record in replay."""

    def poll(self) -> None:
        """Reads what the log has beyond the pending chunks."""
        for chunk in self._reader.poll(READ_AHEAD):
            self._pending.append((chunk.header, chunk.records))
            self.waiting += int((chunk.records["kind"] == Kind.STEP).sum())
        for amendment in self._reader.amendments[self._amended :]:
            self._replay.amend(amendment)
        self._amended = len(self._reader.amendments)

    def advance(self, steps: int) -> bool:
        """Moves records into replay up to and with the `steps`-th STEP; False if the log ends."""
        if self.steps + self.waiting < steps:
            self.poll()
        while self.steps < steps and self._pending:
            header, records = self._pending.popleft()
            is_step = records["kind"] == Kind.STEP
            counts = np.cumsum(is_step)
            need = steps - self.steps
            if counts[-1] > need:
                cut = int(np.searchsorted(counts, need)) + 1
                rest = replace(
                    header,
                    first_sequence=int(records["sequence"][cut]),
                    count=header.count - cut,
                    position=header.position + cut,
                )
                self._pending.appendleft((rest, records[cut:]))
                header, records = replace(header, count=cut), records[:cut]
                taken = need
            else:
                taken = int(counts[-1])
            self._replay.extend(header, records)
            self.steps += taken
            self.waiting -= taken
            self.position = header.position + len(records)
        return self.steps >= steps
