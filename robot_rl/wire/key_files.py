"""The two files of a CURVE key, JSON with the key in Z85; keys.py says where they lie."""

from __future__ import annotations

import os
import struct
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
from zmq.utils import z85

from robot_rl.errors import WireError

FORMAT = "robot-rl key 1"
MAX_FILE = 64 << 10
"""Bytes of a key file."""


File = TypeVar("File", "Key", "Secret")


class Role(StrEnum):
    """What the holder of a key may do; see `runtime.gate.PERMITS`."""

    SERVER = "server"
    """The key of ingest itself; never lets anyone in."""
    ACTOR = "actor"
    OPERATOR = "operator"
    VIEWER = "viewer"


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public file."""

    format: str
    name: str
    role: Role
    public: str
    """Z85, 40 characters."""
    created: str
    """UTC."""
    revoked: str = ""
    """UTC; "" while it is valid."""

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_z85("public", self.public)
        if self.format != FORMAT:
            raise WireError(f"format '{self.format}'; this version reads '{FORMAT}'")


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret file."""

    format: str
    name: str
    secret: str
    """Z85, 40 characters."""

    def __post_init__(self) -> None:
        _check_z85("secret", self.secret)

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def check_name(name: str) -> None:
    """A key's name is a file's name; WireError on what cannot be one."""
    if not 0 < len(name) <= 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise WireError(f"key name '{name}'; valid: 1 to 64 of a-z A-Z 0-9 - _")


def read_key(path: Path) -> Key:
    """One public file; WireError if it is torn, too large, or named unlike what it holds."""
    key = read_file(path, Key)
    if key.name != path.stem:
        raise WireError(f"{path} holds key '{key.name}'; a key's file has its name")
    return key


def read_file(path: Path, kind: type[File]) -> File:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise WireError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise WireError(f"{path} has more than {MAX_FILE} bytes: no key")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, WireError) as error:
        raise WireError(f"{path} is no {kind.__name__.lower()} file: {error}") from error


def write_new(path: Path, content: Key | Secret, mode: int) -> None:
    """Never overwrites, never readable by others for a moment; on disk when it returns."""
    data = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, mode)
    except FileExistsError as error:
        raise WireError(f"{path} exists; valid: another name") from error
    except OSError as error:
        raise WireError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _check_z85(what: str, text: str) -> None:
    try:
        if len(text) == 40 and len(z85.decode(text)) == 32:
            return
    except (KeyError, ValueError, struct.error) as error:
        raise WireError(f"the {what} key is not Z85") from error
    raise WireError(f"the {what} key has {len(text)} characters; valid: 40")
