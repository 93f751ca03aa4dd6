"""Settings of the two processes of the wire, and how such a process starts and ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from robot_rl.errors import ConfigError, RobotRLError, UserCodeError
from robot_rl.wire.parent import die_with_parent

Config = TypeVar("Config", bound=msgspec.Struct)


class IOConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where things are, and the bounds."""

    actor: str
    address: str
    """Of ingest."""
    runtime_dir: str
    """Private and short; the actor's ring and mailbox."""
    spool_dir: str
    """On disk; this actor's own."""
    chunk_records: int = 256
    """Records in one chunk, at most."""
    chunk_bytes: int = 4 << 20
    linger_ms: float = 3.0
    """Records of so long go into one chunk: fewer messages, more of a core for the learner."""
    window_bytes: int = 64 << 20
    """Sent and not acknowledged, at most."""
    window_chunks: int = 1024
    spool_bytes: int = 4 << 30
    """On disk, at most; then the ring fills and the actor holds."""
    sync_ms: float = 50.0
    """What is older is on this disk or acknowledged: what a crash of this host may cost (plus one
    disk sync)."""
    flush_s: float = 3.0
    """Time to send what is left when told to end."""
    insecure: bool = False
    keys: str = ""
    """Folder of keys; "" for none. Secrets never stand in a config."""
    key: str = ""
    """Name of the own key; "" for the only actor key in the folder."""
    parent_pid: int = 0
    """Ends when this process dies; 0: ROBOT_RL_PARENT if set, else no parent."""


class IngestConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where things are, and the policy of the disk."""

    actor_address: str
    learner_address: str
    log_dir: str
    spec: str = ""
    """Canonical JSON of the EnvSpec; "" takes the log's, or the first actor's."""
    sync_ms: float = 20.0
    """The log is synced at most this often, and acknowledged only then: what a crash of the whole
    host may cost is this plus one sync. 0: acknowledged once appended, synced by the system."""
    granted: int = 0
    """STEP records the log may have before any learner grants more; UNLIMITED for recording."""
    actors: int = 0
    """Ids that the log may hold, at most; 0 for any number."""
    insecure: bool = False
    keys: str = ""
    """Folder of keys, for the actors' address; the learner's stays a private ipc path."""
    parent_pid: int = 0


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set.

    Once only: a second signal that interrupts `set` would wait for ever for the lock it holds.
    """
    stop = threading.Event()
    came: list[int] = []

    def note(number: int, _: object) -> None:
        if not came:
            came.append(number)
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return stop


def bind_to_parent(parent_pid: int) -> None:
    """Dies with the parent named, or the one ROBOT_RL_PARENT names, if any."""
    if parent_pid or os.environ.get("ROBOT_RL_PARENT"):
        die_with_parent(parent_pid or None)


def module_command(module: str, config: msgspec.Struct) -> list[str]:
    """`python -m module '<config as JSON>'`."""
    return [sys.executable, "-m", module, msgspec.json.encode(config).decode()]


def run_main(
    module: str, kind: Any, run: Callable[[Config], None], arguments: Sequence[str]
) -> int:
    """Reads the config (of type `kind`, or of one of a union) from the one argument and runs.

    2 with one readable line on failure; above it the traceback of what a user's code raised.
    """
    try:
        if len(arguments) != 1:
            raise ConfigError(f"usage: python -m {module} '<its config as JSON>'")
        try:
            config = msgspec.json.decode(arguments[0], type=kind)
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{module}: {error}") from error
        run(config)
    except (RobotRLError, OSError) as error:
        if isinstance(error, UserCodeError):
            traceback.print_exception(error.__cause__)
        print(f"ERROR {error}", file=sys.stderr, flush=True)
        return 2
    return 0
