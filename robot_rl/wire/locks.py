"""File locks: "in use" is an error that names the holder, and a dead holder's lock is free again.

A lock lives as long as its process (flock, freed by the kernel), so kill -9 leaves nothing stale.
The lock files themselves stay: unlinking a locked file would let two holders in.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path

from robot_rl.errors import InUseError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FileLock:
    """An exclusive lock on a file, taken at once or refused.

    with FileLock(path, "the spool of actor 'left'"):
        ...

    Children started by fork inherit it; start processes by spawn or exec.
    """

    def __init__(self, path: Path, what: str) -> None:
        """Raises InUseError naming `what`, the path and the holder's process id."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            self._descriptor = -1
            raise InUseError(
                f"{what} is in use by process {holder} ({path}); stop it or choose another name"
            ) from error
        os.ftruncate(self._descriptor, 0)
        with suppress(OSError):  # a full disk: the lock holds, only its holder's name is missing
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def identity(self) -> int:
        """63 bits that name this very lock among those of all hosts, whoever holds it: of this
        host's boot and the lock's file. Random where the host does not name its boot."""
        try:
            boot = BOOT_ID.read_bytes()
        except OSError:
            return secrets.randbits(63)
        facts = os.fstat(self._descriptor)
        text = boot + struct.pack("<QQ", facts.st_dev, facts.st_ino)
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1

    def release(self) -> None:
        """Frees the lock; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def try_lock(descriptor: int) -> bool:
    """Takes an exclusive lock on an open file if nobody holds one."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Frees what `try_lock` took."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
