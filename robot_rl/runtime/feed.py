"""From the episode log into replay, exactly as far as the schedule says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robot_rl.data.log_reader import LogReader
from robot_rl.data.replay import Replay
from robot_rl.data.tally import EpisodeTally
from robot_rl.types import Array, EpisodeSummary
from robot_rl.wire.chunk import ChunkHeader
from robot_rl.wire.record import training_steps

READ_AHEAD = 4096
"""Records taken from the log at a time."""


class Feeder:
    """Tails a log: `feeder.advance(n)` puts records into replay until it holds n steps."""

    def __init__(
        self,
        reader: LogReader,
        replay: Replay,
        on_episode: Callable[[EpisodeSummary, int], None] | None = None,
    ) -> None:
        """`on_episode` is called with each whole episode and the steps in replay at its end."""
        self._reader, self._replay = reader, replay
        self._tally, self._on_episode = EpisodeTally(), on_episode
        self._pending: deque[tuple[ChunkHeader, Array]] = deque()
        self.steps = 0
        """Training steps in replay."""
        self.waiting = 0
        """Training steps read from the log and not yet in replay."""
        self._amended = 0
        self.position = 0
        """Log position after the last record in replay."""

    def poll(self) -> bool:
        """Reads some of what the log has beyond the pending chunks; False if there is no more."""
        found = False
        for chunk in self._reader.poll(READ_AHEAD):
            found = True
            self._pending.append((chunk.header, chunk.records))
            self.waiting += int(training_steps(chunk.records).sum())
        for amendment in self._reader.amendments[self._amended :]:
            self._replay.amend(amendment)
        self._amended = len(self._reader.amendments)
        return found

    def advance(self, steps: int) -> bool:
        """Moves records into replay up to and with the `steps`-th training step, so that `position`
        depends on the log alone; False if the log ends."""
        if self.steps + self.waiting < steps:
            self.poll()
        while self.steps < steps and (self._pending or self.poll()):
            self._take(steps - self.steps)
        return self.steps >= steps

    def _take(self, need: int) -> None:
        """The oldest pending chunk into replay, or its part up to and with the `need`-th step."""
        header, records = self._pending.popleft()
        counts = np.cumsum(training_steps(records))
        cut = int(np.searchsorted(counts, need)) + 1
        if cut < len(records):
            rest = replace(
                header,
                first_sequence=int(records["sequence"][cut]),
                count=header.count - cut,
                position=header.position + cut,
            )
            self._pending.appendleft((rest, records[cut:]))
            header, records = replace(header, count=cut), records[:cut]
        taken = int(counts[len(records) - 1])
        self._replay.extend(header, records)
        if self._on_episode is not None:
            for index, summary in self._tally.add(header, records):
                self._on_episode(summary, self.steps + int(counts[index]))
        self.steps += taken
        self.waiting -= taken
        self.position = header.position + len(records)
