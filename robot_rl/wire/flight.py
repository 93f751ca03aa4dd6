"""What a session has sent and nobody has acknowledged: bounded, and watched for progress."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from robot_rl.wire.spool_segment import Spooled


@dataclass(slots=True)
class Flight:
    """Chunks on their way, in the order of the spool.

    flight.begin(next_sequence, now)        # a session; what the other side has already
    if flight.room: flight.add(chunk, now)
    flight.acknowledge(epoch, next_sequence, now)
    """

    window_bytes: int = 64 << 20
    """Of payload, at most (one chunk may go beyond)."""
    window_chunks: int = 1024
    size: int = 0
    """Of payload, now."""
    sent: int = 0
    """Everything below has been sent in this session, or was there before."""
    progress_at: float = 0.0
    """Monotonic seconds: since then what waits has made no progress."""
    _chunks: deque[tuple[int, int, int]] = field(default_factory=deque)

    @property
    def waits(self) -> bool:
        """Whether anything does, for its acknowledgement."""
        return bool(self._chunks)

    @property
    def room(self) -> bool:
        """Whether another chunk may go."""
        return self.size < self.window_bytes and len(self._chunks) < self.window_chunks

    def begin(self, next_sequence: int, now: float) -> None:
        """A session in which everything below has come in."""
        self.sent, self.progress_at = next_sequence, now

    def add(self, chunk: Spooled, now: float) -> None:
        """Sent just now."""
        if not self._chunks:
            self.progress_at = now
        payload = len(chunk.payload)
        self._chunks.append((chunk.life.epoch, chunk.next_sequence, payload))
        self.size += payload
        self.sent = chunk.next_sequence

    def acknowledge(self, epoch: int, next_sequence: int, now: float) -> None:
        """Everything of this life below is in the log."""
        while self._chunks and self._chunks[0][0] == epoch and self._chunks[0][1] <= next_sequence:
            self.size -= self._chunks.popleft()[2]
            self.progress_at = now

    def clear(self) -> None:
        """The session has ended."""
        self._chunks.clear()
        self.size = 0
