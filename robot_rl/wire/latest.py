"""A latest-value slot: what a console shows of an actor now, one writer, any number of readers.

`<actor>.latest` in the run's runtime directory (shared memory): a head, the sequence lock, a
description (the EnvSpec and the robot's size), then one block of fixed layout: arrays, images as
raw bytes, and a CRC32C. The control loop writes it over once a step and never waits; readers copy
it and look again where it was torn. Consoles and recorders of views read this, never the ring.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

import msgspec
import numpy as np
from crc32c import crc32c

from robot_rl.errors import UNREADABLE, DataError, RobotRLError
from robot_rl.specs import EnvSpec
from robot_rl.types import Action, Array, Purpose, RobotState, Step
from robot_rl.wire.handshake import check_actor
from robot_rl.wire.latest_layout import FAULT_BYTES, NOBODY, ROBOT, Latest, Layout, moment
from robot_rl.wire.seqlock import TRIES, SeqLock

MAGIC = b"RRLVIEW1"
_HEAD = struct.Struct("<8sIIQ")  # magic, description's bytes and CRC32C, block's bytes
_LOCK_AT, _TEXT_AT = 64, 128
_SUM = 8
"""Bytes behind the block: its CRC32C, padded."""
_LINE = 64
MAX_TEXT = 1 << 20


def slot_path(directory: Path, actor: str) -> Path:
    """Where an actor's slot lies; WireError on an id that cannot be one."""
    return directory / f"{check_actor(actor)}.latest"


def _block_at(text: int) -> int:
    """Offset of the block behind a description of so many bytes."""
    return -(-(_TEXT_AT + text) // _LINE) * _LINE


class LatestWriter:
    """The control loop's side; some tens of microseconds a write with two 128 x 128 images.

    latest = LatestWriter(runtime_dir, "actor-0", spec, arms=1, joints=7)
    latest.write(step, episode=3, index=0)                               # after a reset
    latest.write(step, action=action, episode=3, index=1, version=7, value=plan.value)
    latest.close()
    """

    def __init__(
        self, directory: Path, actor: str, spec: EnvSpec, *, arms: int = 0, joints: int = 0
    ) -> None:
        """Puts a new, empty slot in place of one that an earlier life left."""
        path = slot_path(directory, actor)
        layout = Layout(spec.to_json(), arms, joints)
        dtype, text = layout.dtype(), msgspec.msgpack.encode(layout)
        start = _block_at(len(text))
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, start + dtype.itemsize + _SUM)
            self._page = mmap.mmap(descriptor, start + dtype.itemsize + _SUM)
        finally:
            os.close(descriptor)
        self._page[_TEXT_AT : _TEXT_AT + len(text)] = text
        _HEAD.pack_into(self._page, 0, MAGIC, len(text), crc32c(text), dtype.itemsize)
        self._lock = SeqLock(self._page, _LOCK_AT)
        block = np.frombuffer(self._page, dtype, 1, start)
        self._views: dict[str, Array] = {name: block[name] for name in dtype.names or ()}
        self._bytes = memoryview(self._page)[start : start + dtype.itemsize]
        self._sum_at = start + dtype.itemsize
        self._observed = tuple(array.name for array in spec.observation)
        self._arms = arms
        draft.rename(path)

    def write(
        self,
        step: Step,
        *,
        episode: int,
        index: int,
        action: Action | None = None,
        version: int = 0,
        value: float = float("nan"),
        purpose: Purpose = Purpose.TRAINING,
    ) -> None:
        """Writes one moment over the last; never waits, allocates nothing that grows."""
        views = self._views
        self._lock.begin()
        for name, number in (
            ("written_ns", time.monotonic_ns()),
            ("stamp_ns", step.stamp_ns),
            ("action_stamp_ns", step.action_stamp_ns),
            ("late_ns", step.late_ns),
            ("boot_id", step.boot_id),
            ("version", version),
            ("episode", episode),
            ("index", index),
            ("reward", step.reward),
            ("value", value),
            ("stage", step.stage),
            ("success", step.success),
            ("purpose", purpose),
            ("terminated", step.terminated),
            ("truncated", step.truncated),
            ("fault", step.fault.encode()[:FAULT_BYTES]),
        ):
            views[name][0] = number
        for name in self._observed:
            views[f"stamp.{name}"][0] = step.stamps.get(name, step.stamp_ns)
            views[f"obs.{name}"][0] = step.obs[name]
        views["executed"][0], views["commanded"][0] = step.executed, step.commanded
        self._write_action(action)
        self._write_robot(step.state)
        struct.pack_into("<I", self._page, self._sum_at, crc32c(self._bytes))
        self._lock.end()

    def close(self) -> None:
        """Frees the memory; the last moment stays to be read. May be called twice."""
        self._views.clear()
        self._bytes.release()
        self._page.close()

    def _write_action(self, action: Action | None) -> None:
        views = self._views
        views["source"][0] = NOBODY if action is None else action.source
        if action is None:
            return
        views["intervention_id"][0] = action.intervention_id
        views["action"][0], views["proposed"][0] = action.vector, action.proposed
        views["hands_on"][0] = action.human is not None
        if action.human is not None:
            views["human"][0] = action.human

    def _write_robot(self, state: RobotState | None) -> None:
        views = self._views
        views["has_robot"][0] = state is not None and self._arms > 0
        if state is None or not self._arms:
            return
        views["robot.stamp_ns"][0], views["robot.boot_id"][0] = state.stamp_ns, state.boot_id
        for name in ROBOT:
            views[f"robot.{name}"][0] = getattr(state, name)


class LatestReader:
    """A console's side, in any process of this host; it never blocks or disturbs the writer.

    reader = LatestReader(runtime_dir, "actor-0")
    if (latest := reader.read()) is not None and latest.age_s() < 1.0:
        show(latest)
    """

    def __init__(self, directory: Path, actor: str) -> None:
        """The actor may come later, and go and come again."""
        self.path = slot_path(directory, actor)
        self._page: mmap.mmap | None = None
        self._inode = -1

    def read(self) -> Latest | None:
        """The newest moment; None before the first, and while a writer that died in the middle of
        one is not replaced.

        Raises DataError naming the slot where it is damaged.
        """
        try:
            if self.path.stat().st_ino != self._inode:
                self._open()
        except FileNotFoundError:
            return None
        page = self._page
        if page is None or self._lock.number < 2:
            return None
        size = self._dtype.itemsize
        for _ in range(TRIES):
            found = self._lock.read(lambda: page[self._start :])
            if found is None:
                return None
            if crc32c(found[:size]) == struct.unpack_from("<I", found, size)[0]:
                return self._moment(found)
            # Perhaps stores that this processor saw in another order: look again.
        raise DataError(f"{self.path}: the checksum does not match")

    def _moment(self, found: bytes) -> Latest:
        try:
            return moment(np.frombuffer(found, self._dtype, 1)[0], self._spec)
        except ValueError as error:
            raise DataError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Frees the memory; may be called twice."""
        if self._page is not None:
            self._page.close()
            self._page, self._inode = None, -1

    def _open(self) -> None:
        self.close()
        with self.path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_size < _TEXT_AT:
                raise DataError(f"{self.path}: not a latest-value slot")
            page = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        try:
            self._dtype, self._spec, self._start = _described(page)
        except (RobotRLError, *UNREADABLE) as error:
            page.close()
            raise DataError(f"{self.path}: {error}") from error
        self._page, self._inode = page, facts.st_ino
        self._lock = SeqLock(page, _LOCK_AT)


def _described(page: mmap.mmap) -> tuple[np.dtype, EnvSpec, int]:
    """Layout of the block, the spec, where the block begins; DataError where they do not fit."""
    magic, size, crc, block = _HEAD.unpack_from(page, 0)
    text = page[_TEXT_AT : _TEXT_AT + min(size, MAX_TEXT)]
    if magic != MAGIC or len(text) != size or crc32c(text) != crc:
        raise DataError("not a latest-value slot")
    layout = msgspec.msgpack.decode(text, type=Layout)
    dtype, start = layout.dtype(), _block_at(size)
    if block != dtype.itemsize or len(page) != start + block + _SUM:
        raise DataError(f"{len(page)} bytes; its description says {start + dtype.itemsize + _SUM}")
    return dtype, EnvSpec.from_json(layout.spec), start
