"""Guards of the I/O process: spool, ring and the disk below."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from fault_guard import guard, replace


@guard
def spool_outlives_its_process() -> None:
    """Out: an I/O process begins with an empty spool."""
    function: Any = None

    def begin(self: Any) -> None:
        for path in self.directory.glob("*.spool"):
            path.unlink()
        function(self)

    function = replace("robot_rl.wire.spool:Spool.__post_init__", begin)


@guard
def spool_is_synced() -> None:
    """Out: the spool never reaches the disk by our doing."""
    replace("robot_rl.wire.spool:Spool.sync", lambda self: None)


@guard
def release_after_spooling() -> None:
    """Out: the ring's slots are free again before the spool has the records."""
    function: Any = None

    def eager(self: Any, limit: int) -> bytes:
        payload: bytes = function(self, limit)
        self.release()
        if payload:
            time.sleep(0.02)
        return payload

    function = replace("robot_rl.wire.ring:RingReader.read", eager)


@guard
def spool_keeps_what_is_not_acknowledged() -> None:
    """Out: the newest 2,000 records are kept and the rest dropped, as the peer's queue does."""
    function: Any = None

    def bounded(self: Any, header: Any, payload: bytes) -> None:
        held = header.first_sequence - self.settled[1]
        if held > 2000:
            self.newest = (header.epoch, header.first_sequence + header.count)
            return
        function(self, header, payload)

    function = replace("robot_rl.wire.spool:Spool.append", bounded)


@guard
def acknowledged_room_is_used_again() -> None:
    """Out: a full disk under the spool stays full, acknowledged or not."""
    replace("robot_rl.wire.spool:Spool._make_room", lambda self: None)


@guard
def only_whole_appends_count() -> None:
    """Out: a write that the disk took in part counts as done, in spool and log."""
    import os

    vector: Any = os.writev
    placed: Any = os.pwritev

    def all_taken(handle: int, buffers: Any) -> int:
        with suppress(OSError):
            vector(handle, buffers)
        return sum(len(bytes(b)) for b in buffers)

    def all_placed(handle: int, buffers: Any, offset: int) -> int:
        with suppress(OSError):
            placed(handle, buffers, offset)
        return sum(len(bytes(b)) for b in buffers)

    replace("os:writev", all_taken)
    replace("os:pwritev", all_placed)
