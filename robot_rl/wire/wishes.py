"""What a page asks of an actor: a slot in shared memory, written by the page's process alone.

`<actor>.wishes` in the run's runtime directory: magic, the sequence lock, one block of fixed
layout, its CRC32C. Newest wins, so nothing queues up behind a slow reader, and neither side ever
waits. All times are CLOCK_MONOTONIC of this host, so that presses and ages need no counter that
both sides would have to agree on. Re-arming is not among the wishes: it stays at the robot's host.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crc32c import crc32c

from robot_rl.types import Event
from robot_rl.wire.handshake import check_actor
from robot_rl.wire.seqlock import SeqLock

MAGIC = b"RRLWISH1"
BUTTONS = (
    Event.STOP,
    Event.SUCCESS,
    Event.FAILURE,
    Event.PAUSE,
    Event.DISCARD,
    Event.REWIND,
    Event.UNDO,
)
"""What can be pressed; a press is kept as its time. REWIND is held and presses again and again."""
MOTION = 8
"""Numbers of a goal: pose (7) and gripper width; of a jog: twist (6), gripper, one of padding."""
_BLOCK = struct.Struct(f"<qqqqqB7x{len(BUTTONS)}q{2 * MOTION}d")
_LOCK_AT, _BLOCK_AT = 64, 128
_SUM = struct.Struct("<I")
_SIZE = _BLOCK_AT + _BLOCK.size + _SUM.size
NOTHING = (float("nan"),) * MOTION


def wishes_path(directory: Path, actor: str) -> Path:
    """Where an actor's wishes lie; WireError on an id that cannot be one."""
    return directory / f"{check_actor(actor)}.wishes"


@dataclass(frozen=True, slots=True)
class Wishes:
    """The newest wishes. Times in ns; 0: never."""

    alive_ns: int = 0
    """When the page of the person who acts was last known to be there."""
    taken_ns: int = 0
    """When somebody last took over."""
    released_ns: int = 0
    """When somebody last handed back."""
    goal_ns: int = 0
    """When the goal was last dragged; 0 once it was let go."""
    jog_ns: int = 0
    """When a jog button last reported that it is held."""
    arm: int = 0
    """Whose goal and jog they are."""
    pressed: tuple[int, ...] = (0,) * len(BUTTONS)
    """When each of `BUTTONS` was last pressed."""
    goal: tuple[float, ...] = NOTHING
    """Pose (7,) in the arm's base frame, gripper width (m; NaN: as it is)."""
    jog: tuple[float, ...] = NOTHING
    """Twist (6,) along the base frame's axes and gripper, each in [-1, 1]; one of padding."""


class WishWriter:
    """The page's side: `writer.write(wishes)`; a new file each time: nothing old is read."""

    def __init__(self, directory: Path, actor: str) -> None:
        self.path = wishes_path(directory, actor)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.draft")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _SIZE)
            self._page = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        self._page[: len(MAGIC)] = MAGIC
        self._lock = SeqLock(self._page, _LOCK_AT)
        self.write(Wishes())
        draft.rename(self.path)

    def write(self, wishes: Wishes) -> None:
        """Writes them over the last."""
        block = _BLOCK.pack(
            wishes.alive_ns,
            wishes.taken_ns,
            wishes.released_ns,
            wishes.goal_ns,
            wishes.jog_ns,
            wishes.arm,
            *wishes.pressed,
            *wishes.goal,
            *wishes.jog,
        )
        self._lock.begin()
        self._page[_BLOCK_AT:] = block + _SUM.pack(crc32c(block))
        self._lock.end()

    def close(self) -> None:
        """Frees the memory; the last wishes stay to be read, and grow old. May be called twice."""
        self._page.close()


class WishReader:
    """The actor's side; never blocks. The page's process may come later, go, and come again."""

    def __init__(self, directory: Path, actor: str) -> None:
        self.path = wishes_path(directory, actor)
        self._page: mmap.mmap | None = None
        self._inode = -1

    def read(self) -> Wishes | None:
        """The newest wishes; None before the first, and where they are torn or damaged."""
        try:
            if self.path.stat().st_ino != self._inode:
                self._open()
        except OSError:
            return None
        page = self._page
        if page is None:
            return None
        found = self._lock.read(lambda: page[_BLOCK_AT:])
        if found is None:
            return None
        if crc32c(found[: _BLOCK.size]) != _SUM.unpack_from(found, _BLOCK.size)[0]:
            return None
        return _wishes(found)

    def close(self) -> None:
        """Frees the memory; may be called twice."""
        if self._page is not None:
            self._page.close()
            self._page, self._inode = None, -1

    def _open(self) -> None:
        self.close()
        with self.path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_size != _SIZE:
                return
            page = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        if page[: len(MAGIC)] != MAGIC:
            page.close()
            return
        self._page, self._inode = page, facts.st_ino
        self._lock = SeqLock(page, _LOCK_AT)


def _wishes(found: bytes) -> Wishes | None:
    """None where a motion is infinite, which nothing of ours writes."""
    numbers = _BLOCK.unpack_from(found)
    buttons, motion = 6 + len(BUTTONS), 6 + len(BUTTONS) + MOTION
    if np.isinf(numbers[buttons:]).any():
        return None
    alive, taken, released, dragged, jogged, arm = numbers[:6]
    return Wishes(
        alive_ns=alive,
        taken_ns=taken,
        released_ns=released,
        goal_ns=dragged,
        jog_ns=jogged,
        arm=arm,
        pressed=numbers[6:buttons],
        goal=numbers[buttons:motion],
        jog=numbers[motion:],
    )
