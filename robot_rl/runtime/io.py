"""The I/O process beside an actor: ring -> spool -> ingest, and weights, credits, commands back.

    python -m robot_rl.runtime.io '<IOConfig as JSON>'

It needs neither the actor nor ingest to be there: it spools without the one and sends without the
other, for ever, until it is told to end (SIGTERM, SIGINT, death of the parent); then it flushes for
a bounded time. What is left stays in the spool for its next life.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.errors import DataError
from robot_rl.memory import keep_heap
from robot_rl.wire.addresses import private_directory
from robot_rl.wire.chunk import ChunkKind, make_header
from robot_rl.wire.flight import Flight
from robot_rl.wire.handshake import check_actor
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.mailbox import LinkStatus, MailboxWriter
from robot_rl.wire.outbox import Outbox
from robot_rl.wire.process import (
    IOConfig,
    bind_to_parent,
    module_command,
    run_main,
    stop_on_signals,
)
from robot_rl.wire.ring import RingReader, ring_paths
from robot_rl.wire.session import IngestSession
from robot_rl.wire.spool import Spool
from robot_rl.wire.spool_segment import Life
from robot_rl.wire.sync import SpoolSync

SCAN_S = 0.02
"""Between two looks for a new life of the actor."""
MAIL_S = 0.1
IDLE_MS = (1, 2, 5)
"""Waits, longer the longer nothing comes."""
RETRY_S = 0.5
"""After the disk refused a write."""


@dataclass(slots=True)
class IOProcess:
    """What the process holds; `run` is its loop."""

    config: IOConfig
    spool: Spool = field(init=False)
    outbox: Outbox = field(init=False)
    mailbox: MailboxWriter = field(init=False)
    session: IngestSession = field(init=False)
    syncer: SpoolSync = field(init=False)
    ring: RingReader | None = None
    _scanned: float = 0.0
    _mailed: float = 0.0
    _retry: float = 0.0
    _linger: float = 0.0

    def __post_init__(self) -> None:
        keep_heap()
        config = self.config
        check_actor(config.actor)
        runtime = private_directory(Path(config.runtime_dir))
        folder = KeyFolder(Path(config.keys)) if config.keys else None
        keys = folder.client(Role.ACTOR, config.key) if folder is not None else None
        self.spool = Spool(Path(config.spool_dir), config.spool_bytes)
        if self.spool.torn:
            print(f"INFO cut off {self.spool.torn}", file=sys.stderr, flush=True)
        self.outbox = Outbox(Path(config.spool_dir), runtime, config.actor)
        self.mailbox = MailboxWriter(runtime, config.actor)
        self.mailbox.say(LinkStatus.STARTING)
        self.session = IngestSession(
            config.address,
            config.actor,
            self.spool,
            self.mailbox,
            self.outbox,
            Flight(config.window_bytes, config.window_chunks),
            insecure=config.insecure,
            keys=keys,
        )
        self.syncer = SpoolSync(self.spool, config.sync_ms / 1000)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`, then a bounded flush."""
        quiet = 0
        try:
            while not stop.is_set():
                quiet = 0 if self.turn() else quiet + 1
                if quiet:
                    self.session.wait(IDLE_MS[min(quiet // 50, len(IDLE_MS) - 1)])
            self.flush()
        finally:
            self.close()

    def turn(self) -> bool:
        """One round: spool what the ring has, then talk. True if anything moved."""
        now = time.monotonic()
        if self.syncer.error is not None:
            raise DataError(f"{self.config.spool_dir} cannot be synced: {self.syncer.error}")
        moved = self.drain(now)
        self.outbox.collect(now)
        self.syncer.tick(now)
        self.session.ring_depth = self.ring.depth if self.ring is not None else 0
        moved = self.session.pump() or moved
        if now - self._mailed > MAIL_S:
            self._mailed = now
            self.mailbox.update(spool_bytes=self.spool.size)
        return moved

    def drain(self, now: float) -> bool:
        """Moves records from the ring into the spool: from then on they are committed."""
        if self.ring is None and not self._find(now):
            return False
        ring = self.ring
        if ring is None or now < self._retry or not self._has_room():
            return False
        size = ring.identity.record_bytes
        limit = max(1, min(self.config.chunk_records, self.config.chunk_bytes // size))
        if now < self._linger and ring.depth < limit:
            return False
        first = ring.position
        payload = ring.read(limit)
        if not payload:
            self._ended(now)
            return False
        header = make_header(
            ChunkKind.RECORDS,
            payload,
            actor=self.config.actor,
            epoch=ring.identity.epoch,
            first_sequence=first,
            count=len(payload) // size,
            record_bytes=size,
        )
        try:
            self.spool.append(header, payload)
        except OSError as error:
            self._retry = now + RETRY_S
            ring.position = first
            self.mailbox.say(LinkStatus.SPOOL_FULL, f"{self.config.spool_dir}: {error}")
            return False
        ring.release()
        self._linger = now + self.config.linger_ms / 1000
        return True

    def flush(self) -> None:
        """Sends what is there, for at most `flush_s`."""
        end = time.monotonic() + self.config.flush_s
        while time.monotonic() < end:
            moved = self.turn()
            drained = self.ring is None or self.ring.depth == 0
            if drained and self.session.idle and not ring_paths_left(self):
                return
            if not moved:
                self.session.wait(1)

    def close(self) -> None:
        """Syncs and frees everything."""
        done = self.session.idle and self.session.handshakes > 0 and self.session.welcomed
        if self.mailbox.state.status != LinkStatus.REFUSED:
            self.mailbox.say(LinkStatus.ENDED)
        self.session.close()
        self.syncer.close()
        self.spool.close(acknowledged=done)
        if self.ring is not None:
            ended = not self.ring.writer_alive()
            self.ring.close(remove=ended and self.ring.depth == 0)
            self.ring = None
        self.mailbox.close()

    def _has_room(self) -> bool:
        if not self.spool.full:
            if self.mailbox.state.status == LinkStatus.SPOOL_FULL:
                self.mailbox.say(
                    LinkStatus.CONNECTED if self.session.welcomed else LinkStatus.DISCONNECTED
                )
            return True
        if self.mailbox.state.status != LinkStatus.SPOOL_FULL:
            text = f"{self.config.spool_dir} holds {self.spool.size} bytes nobody acknowledged"
            self.mailbox.say(LinkStatus.SPOOL_FULL, text)
        return False

    def _find(self, now: float) -> bool:
        """Attaches to the oldest ring there is."""
        if now - self._scanned < SCAN_S:
            return False
        self._scanned = now
        paths = ring_paths(Path(self.config.runtime_dir), self.config.actor)
        if not paths:
            return False
        ring = RingReader(paths[0])
        facts = ring.identity
        if facts.actor != self.config.actor:
            raise DataError(f"{paths[0]} belongs to actor '{facts.actor}'")
        ring.seek(self.spool.next_sequence(facts.epoch))
        ring.release()
        life = Life(facts.actor, facts.epoch, facts.record_bytes, facts.spec)
        try:
            self.spool.begin(life)
        except OSError as error:
            ring.close()
            self._retry = self._scanned = now + RETRY_S
            self.mailbox.say(LinkStatus.SPOOL_FULL, f"{self.config.spool_dir}: {error}")
            return False
        self.session.attach(life, ring.position)
        self.ring = ring
        return True

    def _ended(self, now: float) -> None:
        """A ring whose writer is dead is done with once it is empty, or cannot be read further."""
        ring = self.ring
        if ring is None or now - self._scanned < SCAN_S:
            return
        self._scanned = now
        if ring.writer_alive() or ring.readable:
            return
        if left := ring.depth:
            aside = ring.set_aside()
            print(
                f"WARNING {left} records of epoch {ring.identity.epoch} from sequence "
                f"{ring.position} on cannot be read: their memory is damaged, and who wrote them "
                f"is gone. Kept in {aside}; everything before them is safe",
                file=sys.stderr,
                flush=True,
            )
        ring.close(remove=True)
        self.ring = None


def ring_paths_left(process: IOProcess) -> bool:
    """Whether a dead actor's ring still waits to be drained."""
    paths = ring_paths(Path(process.config.runtime_dir), process.config.actor)
    return len(paths) > (process.ring is not None)


def command(config: IOConfig) -> list[str]:
    """The command line that runs this config in a process of its own."""
    return module_command("robot_rl.runtime.io", config)


def run_io(config: IOConfig, stop: threading.Event | None = None) -> None:
    """Runs the I/O process here; raises a RobotRLError that says why it cannot go on.

    With `stop` the caller ends it; without, SIGTERM and SIGINT do (main thread only).
    """
    if stop is None:
        stop = stop_on_signals()
        bind_to_parent(config.parent_pid)
    IOProcess(config).run(stop)


def main(arguments: Sequence[str]) -> int:
    """Entry of `python -m robot_rl.runtime.io`; exit code 2 with one readable line on failure."""
    return run_main("robot_rl.runtime.io", IOConfig, run_io, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
