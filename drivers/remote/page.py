"""The page of memory that a driver process and the actor's process share.

Two slots, each with one writer and a sequence lock (odd while it is written): the newest state,
from the driver; the newest command, from the actor. And words of 8 bytes: the driver's heartbeat
and how long its next one may take, and a number that each stop changes, which any thread may write.
Words are written through an aligned int64 view, whole; `struct.pack_into` would zero them first.
"""

from __future__ import annotations

import mmap
import os
import time
from enum import IntEnum
from pathlib import Path

import numpy as np

from robot_rl.errors import DataError
from robot_rl.types import (
    Array,
    CartesianCommand,
    Command,
    JointCommand,
    LimitStage,
    RobotState,
)

_MAGIC = b"RRLDRIV1"
_WORD = 8
_BEAT, _ALLOWED, _STOPS, _STOP_TEXT, _TEXT_BYTES, _SLOTS = 64, 72, 128, 136, 256, 512
_TRIES = 50
TEXT = f"S{_TEXT_BYTES}"


class Phase(IntEnum):
    """What a driver does."""

    READY = 0
    """Waits for `connect`."""
    HOLDING = 1
    """Connected, or just stopped or moved: the next goal is a first one."""
    FOLLOWING = 2
    MOVING = 3
    """A `move_to` is under way."""
    FAULT = 4
    """Only a person re-arms."""


def state_dtype(arms: int, joints: int) -> np.dtype[np.void]:
    """The newest state as one record."""
    per_joint = ("q", "dq", "tau", "joint_setpoint")
    return np.dtype(
        [
            ("clock_ns", "<i8"),
            ("clock_boot", "<i8"),
            ("stamp_ns", "<i8"),
            ("boot_id", "<i8"),
            ("command", "<u8"),
            ("progress", "<f8"),
            ("phase", "<i4"),
            ("stage", "<i4"),
            ("connected", "<i4"),
            ("in_joints", "<i4"),
            *((name, "<f8", (arms, joints)) for name in per_joint),
            ("pose", "<f8", (arms, 7)),
            ("setpoint", "<f8", (arms, 7)),
            ("twist", "<f8", (arms, 6)),
            ("wrench", "<f8", (arms, 6)),
            ("gripper_width", "<f8", (arms,)),
            ("gripper_setpoint", "<f8", (arms,)),
            ("fault", TEXT),
        ]
    )


def command_dtype(arms: int, joints: int) -> np.dtype[np.void]:
    """The newest command as one record; `number` counts commands from 1."""
    width = max(7, joints)
    return np.dtype(
        [
            ("number", "<u8"),
            ("stamp_ns", "<i8"),
            ("in_joints", "<i4"),
            ("moving", "<i4"),
            ("goal", "<f8", (arms, width)),
            ("velocity", "<f8", (arms, width)),
            ("gripper", "<f8", (arms,)),
        ]
    )


class Slot:
    """The newest record of one writer."""

    def __init__(self, page: mmap.mmap, words: Array, at: int, dtype: np.dtype[np.void]) -> None:
        """`at` is a multiple of 8; `words` the page as int64."""
        self._page, self._words, self._lock, self._dtype = page, words, at // _WORD, dtype
        self._body = at + _WORD
        self.end = self._body + dtype.itemsize
        self._last: bytes = bytes(dtype.itemsize)

    def write(self, record: Array) -> None:
        lock = int(self._words[self._lock]) | 1
        self._words[self._lock] = lock
        self._page[self._body : self.end] = record.tobytes()
        self._words[self._lock] = lock + 1

    def read(self) -> Array:
        """() record, a copy; the last whole one while it stays half written."""
        for _ in range(_TRIES):
            lock = int(self._words[self._lock])
            data = self._page[self._body : self.end]
            if lock % 2 == 0 and int(self._words[self._lock]) == lock:
                self._last = data
                break
        return np.frombuffer(self._last, self._dtype)[0]


class Page:
    """Both sides' view of the page; the driver makes it, the actor and the guardian open it.

    page = Page(path, arms, joints, create=True)
    page.beat(allowed_ns)
    page.state.write(record)
    """

    def __init__(self, path: Path, arms: int, joints: int, *, create: bool = False) -> None:
        state, command = state_dtype(arms, joints), command_dtype(arms, joints)
        command_at = -(-(_SLOTS + _WORD + state.itemsize) // _WORD) * _WORD
        size = -(-(command_at + _WORD + command.itemsize) // _WORD) * _WORD
        if create:
            aside = path.with_suffix(".new")
            aside.write_bytes(_MAGIC.ljust(size, b"\0"))
            aside.rename(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != size:
                raise DataError(f"{path} is not a page of {arms} arms with {joints} joints")
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        if self._map[: len(_MAGIC)] != _MAGIC:
            raise DataError(f"{path} is no driver's page")
        self._words = np.frombuffer(self._map, np.int64)
        self.state = Slot(self._map, self._words, _SLOTS, state)
        self.command = Slot(self._map, self._words, command_at, command)
        self.arms, self.joints = arms, joints

    def beat(self, allowed_ns: int) -> None:
        """The driver's loop runs; its next beat comes within `allowed_ns`."""
        self._words[_ALLOWED // _WORD] = allowed_ns
        self._words[_BEAT // _WORD] = time.monotonic_ns()

    def last_beat(self) -> tuple[int, int]:
        """(monotonic ns of the last beat or 0 before the first, ns the next may take)."""
        return int(self._words[_BEAT // _WORD]), int(self._words[_ALLOWED // _WORD])

    def stop(self, reason: str) -> None:
        """Any thread of the actor's process: asks the driver to trip. Two at once count as one."""
        text = reason.encode()[: _TEXT_BYTES - 1]
        self._map[_STOP_TEXT : _STOP_TEXT + _TEXT_BYTES] = text.ljust(_TEXT_BYTES, b"\0")
        self._words[_STOPS // _WORD] = time.monotonic_ns()

    def stop_asked(self) -> tuple[int, str]:
        """(another number for each stop, its reason)."""
        text = self._map[_STOP_TEXT : _STOP_TEXT + _TEXT_BYTES]
        return int(self._words[_STOPS // _WORD]), text.rstrip(b"\0").decode(errors="replace")


class BeatReader:
    """The heartbeat of a page whose sizes need not be known; (0, 0) while there is no page."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._words: Array | None = None

    def read(self) -> tuple[int, int]:
        if self._words is None:
            if not self._path.exists():
                return 0, 0
            with self._path.open("rb") as file:
                head = mmap.mmap(file.fileno(), _SLOTS, prot=mmap.PROT_READ)
            self._words = np.frombuffer(head, np.int64)
        return int(self._words[_BEAT // _WORD]), int(self._words[_ALLOWED // _WORD])


def put_state(record: Array, state: RobotState) -> None:
    """Writes a robot's state into a record of `state_dtype`."""
    for name in ("stamp_ns", "boot_id", "q", "dq", "tau", "pose", "twist", "wrench", "setpoint"):
        record[name] = getattr(state, name)
    record["gripper_width"], record["gripper_setpoint"] = (
        state.gripper_width,
        state.gripper_setpoint,
    )
    record["stage"], record["fault"] = int(state.limiting_stage), state.fault.encode()
    record["in_joints"] = state.joint_setpoint is not None
    if state.joint_setpoint is not None:
        record["joint_setpoint"] = state.joint_setpoint


def take_state(record: Array) -> RobotState:
    """The robot's state of a record."""
    return RobotState(
        stamp_ns=int(record["stamp_ns"]),
        boot_id=int(record["boot_id"]),
        q=record["q"].copy(),
        dq=record["dq"].copy(),
        tau=record["tau"].copy(),
        pose=record["pose"].copy(),
        twist=record["twist"].copy(),
        wrench=record["wrench"].copy(),
        gripper_width=record["gripper_width"].copy(),
        setpoint=record["setpoint"].copy(),
        gripper_setpoint=record["gripper_setpoint"].copy(),
        limiting_stage=LimitStage(int(record["stage"])),
        fault=bytes(record["fault"]).decode(errors="replace"),
        joint_setpoint=record["joint_setpoint"].copy() if record["in_joints"] else None,
    )


def put_command(record: Array, command: Command) -> None:
    """Writes a checked command into a record of `command_dtype`; the caller numbers it."""
    in_joints = isinstance(command, JointCommand)
    goal = command.q if isinstance(command, JointCommand) else command.pose
    record["in_joints"], record["stamp_ns"] = in_joints, command.stamp_ns
    record["goal"][:, : goal.shape[1]] = goal
    record["moving"] = command.velocity is not None
    if command.velocity is not None:
        record["velocity"][:, : command.velocity.shape[1]] = command.velocity
    record["gripper"] = command.gripper


def take_command(record: Array, joints: int) -> Command:
    """The command of a record."""
    gripper, stamp_ns = record["gripper"].copy(), int(record["stamp_ns"])
    if record["in_joints"]:
        velocity = record["velocity"][:, :joints].copy() if record["moving"] else None
        return JointCommand(record["goal"][:, :joints].copy(), gripper, stamp_ns, velocity)
    velocity = record["velocity"][:, :6].copy() if record["moving"] else None
    return CartesianCommand(record["goal"][:, :7].copy(), gripper, stamp_ns, velocity)
