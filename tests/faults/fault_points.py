"""Named points at which a process dies, and observers that note without changing anything."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fault_recorder import Notebook, What

POINTS: dict[str, dict[str, tuple[str, str]]] = {
    "io": {
        "before a chunk is spooled": ("robot_rl.wire.spool:Spool.append", "before"),
        "half of a chunk is spooled": ("os:pwritev", "half"),
        "spooled, the ring not released": ("robot_rl.wire.ring:RingReader.release", "before"),
        "released, nothing sent": ("robot_rl.wire.ring:RingReader.release", "after"),
        "before an acknowledgement is used": ("robot_rl.wire.spool:Spool.acknowledge", "before"),
        "after an acknowledgement is used": ("robot_rl.wire.spool:Spool.acknowledge", "after"),
        "a new segment is begun": ("robot_rl.wire.spool:new_segment", "after"),
    },
    "ingest": {
        "before an append": ("robot_rl.data.log_writer:LogWriter.append", "before"),
        "half of a chunk is appended": ("os:writev", "half"),
        "appended, not synced": ("robot_rl.data.log_writer:LogWriter.append", "after"),
        "synced, not acknowledged": ("robot_rl.data.log_writer:LogWriter.sync", "after"),
        "acknowledged": ("robot_rl.ingest.server:IngestServer._acknowledge", "after"),
        "in a handshake": ("robot_rl.ingest.sessions:Sessions.claim", "after"),
    },
    "actor": {
        "before a record is written": ("robot_rl.wire.ring:RingWriter.try_write", "before"),
        "a record is written": ("robot_rl.wire.ring:RingWriter.try_write", "after"),
        "a ring is made, not named": ("os:rename", "before"),
    },
    "learner": {
        "arrays half written": ("robot_rl.runtime.checkpoint:save_file", "half"),
        "arrays written, no state": ("robot_rl.runtime.checkpoint:save_file", "after"),
        "written aside, not renamed": ("pathlib:Path.rename", "before"),
        "renamed": ("pathlib:Path.rename", "after"),
        "before an old one is removed": ("shutil:rmtree", "before"),
        "before an update": ("robot_rl.agents.sac.agent:SAC.update", "before"),
        "updated, not counted": ("robot_rl.agents.sac.agent:SAC.update", "after"),
        "before weights are published": (
            "robot_rl.wire.learner_link:LearnerLink.publish",
            "before",
        ),
    },
}
"""By side: name of the point → (function, before, after or half way through its call)."""


def find(target: str) -> tuple[Any, str, Callable[..., Any]]:
    """The owner, name and function that "module:Class.function" means."""
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name, getattr(owner, name)


def die() -> None:
    """SIGKILL: no handler, no flush, no exit code of its own."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def arm(point: str, nth: int = 1) -> None:
    """Dies at the nth time the point "side: name" is reached."""
    side, _, name = point.partition(": ")
    target, moment = POINTS[side][name]
    owner, attribute, function = find(target)
    left = nth

    def watched(*words: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and moment == "before":
            die()
        if left == 0 and moment == "half":
            _half(target, function, words)
            die()
        result = function(*words, **options)
        if left == 0 and moment == "after":
            die()
        return result

    setattr(owner, attribute, watched)


def _half(target: str, function: Callable[..., Any], words: tuple[Any, ...]) -> None:
    """The first half of what a call writes."""
    if target.endswith("save_file"):
        function(*words)
        path = Path(words[1])
        os.truncate(path, path.stat().st_size // 2)
        return
    handle, buffers, *place = words
    data = b"".join(bytes(buffer) for buffer in buffers)
    function(handle, [data[: len(data) // 2]], *place)


def observe_acknowledgements(book: Path) -> None:
    """Notes each acknowledgement that an I/O process gets and that says something new."""
    from robot_rl.wire.session import IngestSession

    notebook, known = Notebook(book), dict[int, int]()
    function = IngestSession._acknowledge

    def noted(self: IngestSession, epoch: int, next_sequence: int, now: float) -> None:
        if next_sequence > known.get(epoch, 0):
            known[epoch] = next_sequence
            notebook.note(What.ACKNOWLEDGED, epoch, next_sequence)
        function(self, epoch, next_sequence, now)

    IngestSession._acknowledge = noted  # type: ignore[method-assign]


def observe_steps(book: Path) -> None:
    """Notes each update block of a learner once it is done."""
    from robot_rl.runtime.learner import Learner
    from robot_rl.sampling import Block

    notebook, function = Notebook(book), Learner.step

    def noted(self: Learner, block: Block) -> None:
        function(self, block)
        notebook.note(What.WRITTEN, 0, self.progress.block)

    Learner.step = noted  # type: ignore[method-assign]


def observe_syncs(folder: Path) -> None:
    """Notes how far each file is on disk: `<device>-<inode>` → bytes, at each fdatasync's begin."""
    notebook, function = Notebook(folder), os.fdatasync

    def noted(handle: int) -> None:
        facts = os.fstat(handle)
        function(handle)
        notebook.note(What.SYNCED, facts.st_ino, facts.st_size)

    os.fdatasync = noted
