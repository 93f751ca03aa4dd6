"""CURVE keys on disk: a folder of the user's own with a public and a secret file for each name.

`<name>.key` is public: name, role, public key, and since when it is revoked. Carried to another
host, it lets the key in there. `<name>.secret` (0600) stays where it was made. Both are JSON, keys
in Z85. What may connect to a server is exactly the public files of its folder.

folder = KeyFolder(key_folder(None)); folder.make("arm-left", Role.ACTOR); folder.revoke("arm-left")
"""

from __future__ import annotations

import os
import stat
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq
from zmq.utils import z85

from robot_rl.errors import WireError
from robot_rl.wire.addresses import check_private, private_directory

FORMAT = "robot-rl key 1"
MAX_FILE = 64 << 10
"""Bytes of a key file."""


File = TypeVar("File", "Key", "Secret")


class Role(StrEnum):
    """What the holder of a key may do; see `protocol.PERMITS`."""

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


@dataclass(frozen=True, slots=True, repr=False)
class Pair:
    """Own public and secret key, Z85; never printed."""

    key: Key
    secret: bytes


@dataclass(frozen=True, slots=True, repr=False)
class ClientKeys:
    """What a connecting end needs."""

    own: Pair
    server: Key


def key_folder(setting: str | None) -> Path:
    """`setting` as a path; None or "default": ROBOT_RL_KEYS, else ~/.config/robot-rl/keys."""
    if setting not in (None, "default"):
        return Path(setting).expanduser().absolute()
    named = os.environ.get("ROBOT_RL_KEYS")
    base = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return Path(named).expanduser().absolute() if named else base / "robot-rl" / "keys"


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """The keys of one host; every method raises WireError naming file, fault and remedy."""

    path: Path

    def make(self, name: str, role: Role) -> Key:
        """A new pair; a name that exists is refused, revoked or not."""
        check_name(name)
        private_directory(self.path)
        public, secret = (part.decode() for part in zmq.curve_keypair())
        key = Key(FORMAT, name, role, public, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        if self._public(name).exists():
            raise WireError(f"key '{name}' exists in {self.path}; valid: another name")
        # The secret first: a crash between the two leaves a file that lets nobody in.
        _write_new(self._secret(name), Secret(FORMAT, name, secret), 0o600)
        _write_new(self._public(name), key, 0o644)
        return key

    def revoke(self, name: str) -> Key:
        """Marks a key as revoked, for good; the file stays."""
        key = self.read(name)
        if key.revoked:
            raise WireError(f"key '{name}' is revoked already (since {key.revoked})")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        key = msgspec.structs.replace(key, revoked=now)
        aside = self.path / f".{name}.{os.getpid()}.new"
        _write_new(aside, key, 0o644)
        aside.rename(self._public(name))
        return key

    def read(self, name: str) -> Key:
        """One public file."""
        check_name(name)
        check_private(self.path, "the key folder")
        path = self._public(name)
        if not path.exists():
            known = ", ".join(sorted(found.stem for found in self.path.glob("*.key")))
            raise WireError(f"no key '{name}' in {self.path}; valid: {known or 'none is there'}")
        return read_key(path)

    def keys(self) -> list[Key]:
        """All public keys, by name."""
        return [read_key(path) for path in self.files()]

    def files(self) -> list[Path]:
        """The public files, by name."""
        check_private(self.path, "the key folder")
        return sorted(self.path.glob("*.key"))

    def stamps(self) -> list[tuple[str, int, int, int]]:
        """Changes whenever a public file does."""
        found = []
        for path in self.files():
            with suppress(FileNotFoundError):
                facts = path.stat()
                found.append((path.name, facts.st_ino, facts.st_size, facts.st_mtime_ns))
        return found

    def has_secret(self, name: str) -> bool:
        """Whether this host holds the secret part."""
        return self._secret(name).exists()

    def pair(self, name: str) -> Pair:
        """Own key with its secret, checked: not revoked, only its owner can read it, it fits."""
        key, path = self.read(name), self._secret(name)
        if key.revoked:
            raise WireError(f"key '{name}' in {self.path} is revoked since {key.revoked}")
        if not path.exists():
            raise WireError(f"{path} is missing: key '{name}' was made on another host")
        facts = path.lstat()
        private = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.getuid()
        if not private or facts.st_mode & 0o077:
            raise WireError(
                f"{path} must be a file of user {os.getuid()} with mode 0600; it belongs to "
                f"{facts.st_uid} with mode {stat.S_IMODE(facts.st_mode):04o}. If others could read "
                "it, revoke the key and make another"
            )
        secret = _read(path, Secret).secret.encode()
        if zmq.curve_public(secret) != key.public.encode():
            raise WireError(f"{path} does not belong to the public key in {self._public(name)}")
        return Pair(key, secret)

    def own(self, role: Role, name: str = "") -> Pair:
        """The key called `name`, else the only one of this role whose secret is here."""
        if name:
            pair = self.pair(name)
            if pair.key.role is not role:
                raise WireError(
                    f"key '{name}' in {self.path} has role {pair.key.role}; valid here: {role}"
                )
            return pair
        names = [key.name for key in self.keys() if key.role is role and not key.revoked]
        names = [found for found in names if self.has_secret(found)]
        if len(names) != 1:
            why = f"several keys of role {role}: {', '.join(names)}" if names else f"no {role} key"
            hint = "name one (wire.key=NAME)" if names else f"robot-rl keys make NAME --role {role}"
            raise WireError(f"{self.path} holds {why}; valid: {hint}")
        return self.pair(names[0])

    def client(self, role: Role, name: str = "") -> ClientKeys:
        """Own key and the server's public one, of which the folder holds exactly one."""
        own = self.own(role, name)
        servers = [key for key in self.keys() if key.role is Role.SERVER and not key.revoked]
        if len(servers) != 1:
            names = ", ".join(key.name for key in servers) or "none"
            raise WireError(
                f"{self.path} must hold one server key that is not revoked, it holds {names}; copy "
                "the learner host's <name>.key here, and revoke what is out of date"
            )
        return ClientKeys(own, servers[0])

    def _public(self, name: str) -> Path:
        return self.path / f"{name}.key"

    def _secret(self, name: str) -> Path:
        return self.path / f"{name}.secret"


def check_name(name: str) -> None:
    """A key's name is a file's name; WireError on what cannot be one."""
    if not 0 < len(name) <= 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise WireError(f"key name '{name}'; valid: 1 to 64 of a-z A-Z 0-9 - _")


def read_key(path: Path) -> Key:
    """One public file; WireError if it is torn, too large, or named unlike what it holds."""
    key = _read(path, Key)
    if key.name != path.stem:
        raise WireError(f"{path} holds key '{key.name}'; a key's file has its name")
    return key


def _read(path: Path, kind: type[File]) -> File:
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


def _write_new(path: Path, content: Key | Secret, mode: int) -> None:
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
