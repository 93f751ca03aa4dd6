"""Where sockets may be: `ipc://` in a private directory, TCP on loopback; with keys, anywhere."""

from __future__ import annotations

import ipaddress
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from robot_rl.errors import WireError

MAX_IPC_PATH = 107
"""Bytes of `sockaddr_un.sun_path` without its terminator."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked endpoint."""

    text: str
    """As ZeroMQ takes it."""
    path: Path | None
    """Of an ipc endpoint, else None."""
    loopback: bool


def parse_address(text: str, *, insecure: bool = False, keyed: bool = False) -> Address:
    """Checks an endpoint; WireError on anything but ipc or loopback, unless keyed or insecure."""
    scheme, mark, rest = text.partition("://")
    if not mark or scheme not in ("ipc", "tcp") or not rest:
        raise WireError(f"address '{text}'; valid: ipc:///path, tcp://127.0.0.1:port")
    if scheme == "ipc":
        return _ipc(text, rest)
    host, _, port = rest.rpartition(":")
    if port != "*" and not (port.isdigit() and int(port) < 65536):
        raise WireError(
            f"address '{text}': port '{port}'; valid: 1 to 65535, or * for any free one"
        )
    host = "127.0.0.1" if host == "localhost" else host
    loopback = _is_loopback(host)
    if not loopback and not insecure and not keyed:
        raise WireError(
            f"address '{text}' is not on this host: anyone who reaches it could command a robot or "
            "feed the learner. Valid: keys (robot-rl keys make, then wire.keys=default), "
            "ipc:///path, tcp://127.0.0.1:port; over a network that nobody else is in, --insecure "
            "(wire.insecure=true)"
        )
    return Address(f"tcp://{host}:{port}", None, loopback)


def insecure_warning(address: Address, *, keyed: bool = False) -> str:
    """The line printed at each start on an address that others can reach without a key."""
    if address.loopback or keyed:
        return ""
    return (
        f"WARNING: {address.text} is open, unauthenticated and unencrypted (insecure=true): "
        "whoever reaches it can command the robot and feed the learner"
    )


def _ipc(text: str, rest: str) -> Address:
    path = Path(rest)
    if not path.is_absolute():
        raise WireError(f"address '{text}': the path must be absolute (ipc:///directory/name)")
    if len(os.fsencode(rest)) > MAX_IPC_PATH:
        raise WireError(
            f"address '{text}' has {len(os.fsencode(rest))} bytes of path; at most {MAX_IPC_PATH}: "
            "use a shorter runtime directory"
        )
    return Address(text, path, True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def private_directory(path: Path) -> Path:
    """Makes a directory only its owner may enter; WireError if it exists and others may."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return check_private(path)


def check_private(path: Path, what: str = "it") -> Path:
    """WireError unless this is a directory that only its owner, this user, may enter."""
    try:
        facts = path.lstat()
    except OSError as error:
        raise WireError(f"{path}: {error.strerror}; {what} must be there") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise WireError(
            f"{path} must be a directory of user {os.getuid()} with mode 0700; it belongs to "
            f"{facts.st_uid} with mode {stat.S_IMODE(facts.st_mode):04o}"
        )
    return path


def runtime_directory(name: str, root: Path | None = None) -> Path:
    """A short private directory in memory for a run's rings and sockets, made if missing.

    `name` is the run's id (letters, digits, - _ .). Under `root`, else /dev/shm, else the temporary
    directory, in a directory of the user's own.
    """
    if (
        not name
        or name.startswith(".")
        or not name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    ):
        raise WireError(f"run name '{name}'; valid: letters, digits, - _ .")
    if root is None:
        shared = Path("/dev/shm")
        usable = shared.is_dir() and os.access(shared, os.W_OK)
        root = (shared if usable else Path(tempfile.gettempdir())) / f"robot-rl-{os.getuid()}"
    private_directory(root)
    return private_directory(root / name)


def clear_runtime_directory(directory: Path) -> bool:
    """Removes a run's runtime directory once nobody uses it; False if a ring still holds records.

    Those are drained by the next life of the actor's I/O process.
    """
    if any(directory.glob("*.ring")):
        return False
    shutil.rmtree(directory, ignore_errors=True)
    return True
