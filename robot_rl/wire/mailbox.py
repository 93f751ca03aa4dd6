"""Shared memory from the I/O process to the actor: newest weights, credits, commands; and back.

`<actor>.mail` is one page: a block that only the I/O process writes (a sequence lock around it: odd
while being written), and one that only the actor writes. Weights lie in `<actor>.<k>.weights`: two
halves, so that the half the actor reads is not the one being written; a larger file (k + 1)
replaces one that has become too small. Reading costs the actor microseconds and never waits.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
from crc32c import crc32c

from robot_rl.errors import DataError
from robot_rl.types import Array
from robot_rl.wire.protocol import Control, ControlKind, Table
from robot_rl.wire.seqlock import NUMBER_BYTES, SeqLock
from robot_rl.wire.weights import FlatWeights, unpack

_PAGE = 4096
_MAGIC = b"RRLMAIL2"
_STATE = struct.Struct("<QQQQQQQQqBB")
_LOCK_AT, _STATE_AT, _TEXT_AT, _TEXT_BYTES = 64, 72, 512, 1024
_ACTOR = struct.Struct("<QqqB")
_ACTOR_AT = 2048
_HALF = struct.Struct("<QQQI")  # version, table bytes, data bytes, crc; a sequence lock before


_BODY_AT = NUMBER_BYTES + _HALF.size


class LinkStatus(IntEnum):
    """What the I/O process says of its own health."""

    STARTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    """Nobody answers; records go to the spool and the newest weights stay in use."""
    SPOOL_FULL = 3
    REFUSED = 4
    """The handshake was refused for good; `text` says why."""
    ENDED = 5


class MailState(NamedTuple):
    """What the I/O process says to the actor."""

    weights_file: int = 0
    weights_half: int = 0
    weights_version: int = 0
    """In the mailbox; 0 before the first."""
    published_version: int = 0
    """Newest that the learner published, as far as the I/O process knows."""
    credit_epoch: int = 0
    credits: int = 0
    """Steps that the life `credit_epoch` may take in total."""
    spool_bytes: int = 0
    control_number: int = 0
    beat_ns: int = 0
    """Monotonic time of the I/O process's last loop."""
    control_kind: int = ControlKind.RUN
    status: int = LinkStatus.STARTING

    def control(self) -> Control:
        return Control(self.control_number, ControlKind(self.control_kind))


def _open_page(path: Path) -> mmap.mmap:
    """Opens the mailbox, made whole by whoever comes first."""
    if not path.exists():
        aside = path.with_name(f"{path.name}.{os.getpid()}.new")
        aside.write_bytes(_MAGIC.ljust(_PAGE, b"\0"))
        with suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink()
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size != _PAGE:
            raise DataError(f"{path} is not a mailbox")
        page = mmap.mmap(descriptor, _PAGE)
    finally:
        os.close(descriptor)
    if page[: len(_MAGIC)] != _MAGIC:
        raise DataError(f"{path} is not a mailbox")
    return page


def _weights_path(directory: Path, actor: str, number: int) -> Path:
    return directory / f"{actor}.{number}.weights"


class MailboxWriter:
    """The I/O process's side; the only writer of everything but the actor's block."""

    def __init__(self, directory: Path, actor: str) -> None:
        self._directory, self._actor = directory, actor
        self._page = _open_page(directory / f"{actor}.mail")
        # Half written or not: what a dead predecessor left is only read for its file number.
        self.state = MailState(*_STATE.unpack_from(self._page, _STATE_AT))
        self._lock = SeqLock(self._page, _LOCK_AT)
        self._weights: mmap.mmap | None = None

    def update(self, **changes: int) -> None:
        """Changes fields of MailState, all at once as the actor sees it."""
        self.state = self.state._replace(beat_ns=time.monotonic_ns(), **changes)
        self._lock.begin()
        _STATE.pack_into(self._page, _STATE_AT, *self.state)
        self._lock.end()

    def say(self, status: LinkStatus, text: str = "") -> None:
        """Leaves a status and a line for the actor to show."""
        data = text.encode()[: _TEXT_BYTES - 1]
        self._page[_TEXT_AT : _TEXT_AT + _TEXT_BYTES] = data.ljust(_TEXT_BYTES, b"\0")
        self.update(status=status)

    def put_weights(self, weights: FlatWeights) -> None:
        """Makes `weights` the newest in the mailbox."""
        table = msgspec.msgpack.encode(weights.table)
        need = _BODY_AT + len(table) + len(weights.data)
        state = self.state
        number = state.weights_file
        if self._weights is None or len(self._weights) // 2 < need:
            number += 1
            self._weights = self._new_file(number, need)
        half = 1 - state.weights_half
        start = half * (len(self._weights) // 2)
        lock = SeqLock(self._weights, start)
        lock.begin()
        head = (weights.version, len(table), len(weights.data), weights.crc)
        _HALF.pack_into(self._weights, start + NUMBER_BYTES, *head)
        body = start + _BODY_AT
        self._weights[body : body + len(table)] = table
        body += len(table)
        self._weights[body : body + len(weights.data)] = weights.data
        lock.end()
        self.update(
            weights_file=number,
            weights_half=half,
            weights_version=weights.version,
            published_version=weights.version,
        )
        if number != state.weights_file:
            _weights_path(self._directory, self._actor, state.weights_file).unlink(missing_ok=True)

    def _new_file(self, number: int, need: int) -> mmap.mmap:
        path = _weights_path(self._directory, self._actor, number)
        size = 2 * (-(-need // _PAGE) * _PAGE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def actor_beat(self) -> tuple[int, int, int, bool]:
        """(epoch, monotonic ns of the actor's last beat or 0, weights version it has loaded,
        whether it rests between episodes because it is paused)."""
        epoch, beat, version, resting = _ACTOR.unpack_from(self._page, _ACTOR_AT)
        return int(epoch), int(beat), int(version), bool(resting)

    def close(self) -> None:
        self._page.close()
        if self._weights is not None:
            self._weights.close()


class MailboxReader:
    """The actor's side."""

    def __init__(self, directory: Path, actor: str, epoch: int) -> None:
        self._directory, self._actor, self._epoch = directory, actor, epoch
        self._page = _open_page(directory / f"{actor}.mail")
        self._lock = SeqLock(self._page, _LOCK_AT)
        self._weights: mmap.mmap | None = None
        self._file = -1
        self._last = MailState()
        self.beat(0)

    def state(self) -> MailState:
        """One consistent reading; the last one while the block stays half written."""
        fields = self._lock.read(lambda: _STATE.unpack_from(self._page, _STATE_AT))
        if fields is not None:
            self._last = MailState(*fields)
        return self._last

    @property
    def text(self) -> str:
        """The line that belongs to the status."""
        return self._page[_TEXT_AT : _TEXT_AT + _TEXT_BYTES].rstrip(b"\0").decode(errors="replace")

    def beat(self, used_version: int, resting: bool = False) -> None:
        """Called by the control loop itself: it lives and uses these weights."""
        now = time.monotonic_ns()
        _ACTOR.pack_into(self._page, _ACTOR_AT, self._epoch, now, used_version, resting)

    def weights(self, state: MailState) -> tuple[Mapping[str, Array], int] | None:
        """The weights that `state` points to, copied and checked; None if they just changed."""
        if state.weights_file != self._file and not self._open(state.weights_file):
            return None
        page = self._weights
        if page is None:
            return None
        start = state.weights_half * (len(page) // 2)

        def look() -> tuple[int, bytes, bytes, int]:
            version, table_bytes, data_bytes, crc = _HALF.unpack_from(page, start + NUMBER_BYTES)
            body = start + _BODY_AT
            if body + table_bytes + data_bytes > start + len(page) // 2:
                return version, b"", b"", ~crc
            data = body + table_bytes
            return version, page[body:data], page[data : data + data_bytes], crc

        found = SeqLock(page, start).read(look, tries=1)
        if found is None:
            return None
        version, table, data, crc = found
        if crc32c(data) != crc:
            return None
        return unpack(msgspec.msgpack.decode(table, type=Table), data), version

    def _open(self, number: int) -> bool:
        if number == 0:
            return False
        try:
            descriptor = os.open(
                _weights_path(self._directory, self._actor, number), os.O_RDONLY | os.O_CLOEXEC
            )
        except FileNotFoundError:
            return False  # replaced by a larger one just now
        try:
            fresh = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        if self._weights is not None:
            self._weights.close()
        self._weights, self._file = fresh, number
        return True

    def close(self) -> None:
        self._page.close()
        if self._weights is not None:
            self._weights.close()
