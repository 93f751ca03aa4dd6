"""What every fuzz target is held to: typed errors or success, bounded memory, bounded time."""

from __future__ import annotations

import time
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from robot_rl.errors import RobotRLError

BUDGET_S = 0.010
"""CPU time of one input."""


@dataclass(frozen=True)
class Target:
    """One function of bytes, and what it may cost."""

    name: str
    run: Callable[[bytes], None]
    """Feeds the bytes to a decoder; may raise RobotRLError, AssertionError where a property broke.
    """
    seeds: Callable[[], list[bytes]]
    """Inputs made by our own writers; they must be accepted or be refused in words."""
    modules: tuple[str, ...]
    """What its coverage is counted in."""
    max_len: int = 4096
    """Bytes of a generated input."""
    memory: tuple[int, int] = (1 << 20, 64)
    """Bytes that may be allocated for an input of n bytes: the first number + the second × n."""

    def allowance(self, size: int) -> int:
        return self.memory[0] + self.memory[1] * size


class Finding(AssertionError):
    """An input that breaks a promise; `key` is the same for the same cause."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def run(target: Target, data: bytes) -> float:
    """Seconds that one input took; raises Finding on anything but success or RobotRLError.

    BaseException, because a panic of a Rust extension is no Exception.
    """
    start = time.perf_counter()
    try:
        target.run(data)
    except RobotRLError as error:
        if not str(error).strip():
            raise Finding("no words", f"{type(error).__name__} without a word") from error
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise Finding(_cause(error), f"{type(error).__name__}: {error}") from error
    return time.perf_counter() - start


def peak_memory(target: Target, data: bytes) -> int:
    """Bytes that one input allocated at most (Python's and NumPy's allocations)."""
    tracemalloc.start()
    try:
        run(target, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_memory(target: Target, data: bytes) -> int:
    """The peak; raises Finding where it is above the target's allowance in each of three runs.

    One run alone is also charged what the process does for itself meanwhile: the interpreter's
    table of interned strings, say, grows by 7.7 MB at whichever input comes at that moment.
    """
    allowed = target.allowance(len(data))
    for _ in range(3):
        if (peak := peak_memory(target, data)) <= allowed:
            return peak
    raise Finding("memory", f"{peak:,} bytes for an input of {len(data)}; valid: {allowed:,}")


def settled(target: Target, data: bytes) -> float:
    """CPU time of the best of three runs: what an input costs, whatever else the machine does."""
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        run(target, data)
        best = min(best, time.thread_time() - start)
    return best


def _cause(error: BaseException) -> str:
    """Type and innermost lines of the project: one key for one bug."""
    frames = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "robot_rl" in frame.filename or "/fuzz/" in frame.filename
    ]
    return f"{type(error).__name__} at {' < '.join(reversed(frames[-2:])) or '?'}"
