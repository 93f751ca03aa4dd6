"""What ingest refused or dropped: all counted, reported at a bounded rate."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

WARN_S = 0.1
"""Between two warnings, at least: a flood of garbage must not fill the disk."""


@dataclass(slots=True)
class Warnings:
    """Counters and the voice of one ingest."""

    garbage: int = 0
    refused: int = 0
    gaps: int = 0
    """Records that their actor no longer had."""
    _warned: float = 0.0

    def count_garbage(self, what: str) -> None:
        """One more message that made no sense."""
        self.garbage += 1
        self.warn(f"garbage {what}")

    def count_refused(self, why: str) -> None:
        """One more that made sense and may not be."""
        self.refused += 1
        self.warn(why)

    def warn(self, text: str) -> None:
        """A line, unless there was one just now or there is nothing to say."""
        now = time.monotonic()
        if text and now - self._warned > WARN_S:
            self._warned = now
            self.say(text)

    def say(self, text: str) -> None:
        """A line on standard error, whatever there was before."""
        print(f"WARN ingest: {text}", file=sys.stderr, flush=True)
