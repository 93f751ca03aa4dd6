"""CURVE keys on disk: a folder of the user's own with a public and a secret file for each name.

`<name>.key` is public: name, role, public key, and since when it is revoked. Carried to another
host, it lets the key in there. `<name>.secret` (0600) stays where it was made. Both are JSON, keys
in Z85. What may connect to a server is exactly the public files of its folder.

folder = KeyFolder(key_folder(None)); folder.make("arm-left", Role.ACTOR); folder.revoke("arm-left")
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zmq

from robot_rl.errors import WireError
from robot_rl.wire.addresses import check_private, private_directory
from robot_rl.wire.key_files import (
    FORMAT,
    Key,
    Role,
    Secret,
    check_name,
    read_file,
    read_key,
    write_new,
)


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
        write_new(self._secret(name), Secret(FORMAT, name, secret), 0o600)
        write_new(self._public(name), key, 0o644)
        return key

    def revoke(self, name: str) -> Key:
        """Marks a key as revoked, for good; the file stays."""
        key = self.read(name)
        if key.revoked:
            raise WireError(f"key '{name}' is revoked already (since {key.revoked})")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        key = msgspec.structs.replace(key, revoked=now)
        aside = self.path / f".{name}.{os.getpid()}.new"
        write_new(aside, key, 0o644)
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
        secret = read_file(path, Secret).secret.encode()
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
