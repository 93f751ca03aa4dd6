"""Ingest's loop: the actors' address, the learner's, and the log between them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.errors import RobotRLError
from robot_rl.memory import keep_heap
from robot_rl.runtime.census import open_log
from robot_rl.runtime.complaints import Complaints
from robot_rl.runtime.door import Door
from robot_rl.runtime.endpoints import IngestConfig
from robot_rl.runtime.reception import Reception
from robot_rl.wire import protocol as p
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.sockets import Router, Waiter

BURST = 512
"""Messages handled before they are committed and the others get their turn."""
BURST_BYTES = 64 << 20
WAIT_MS = 50
GRANT_MS = 3
"""Between two messages about credits: a learner grants with every update."""


@dataclass(slots=True)
class IngestServer:
    """What ingest holds; `turn` is its loop's body."""

    config: IngestConfig
    router: Router = field(init=False)
    door: Door = field(init=False)
    reception: Reception = field(init=False)
    waiter: Waiter = field(init=False)
    complaints: Complaints = field(default_factory=Complaints)
    _waits_for_log: bool = True
    _told: float = 0.0

    def __post_init__(self) -> None:
        keep_heap()
        config = self.config
        keys = KeyFolder(Path(config.keys)) if config.keys else None
        self.router = Router(config.actor_address, insecure=config.insecure, keys=keys)
        try:
            learner = Router(config.learner_address, insecure=config.insecure)
            self.door = Door(learner, self.complaints, config.granted, self.stats)
            self.reception = Reception(config, self.router, self.door, self.complaints)
            try:
                log = open_log(Path(config.log_dir), config.spec)
                if log is not None:
                    self.complaints.warn(log.torn)
                    self.reception.serve(log)
            except RobotRLError:
                learner.close()
                raise
        except RobotRLError:
            self.router.close()
            raise
        self._listen()

    def turn(self) -> None:
        """Waits for something, then handles what there is."""
        reception, door = self.reception, self.door
        self.waiter.wait(GRANT_MS if reception.shared else WAIT_MS)
        granted = door.granted
        for _ in range(BURST):
            if (message := door.router.receive()) is None:
                break
            door.take(message)
        if door.granted != granted:
            reception.share()
        reception.admit()
        left = BURST_BYTES
        for _ in range(BURST):
            if left < 0 or (message := self.router.receive()) is None:
                break
            left -= len(message.body)
            reception.take(message)
        reception.commit()
        self._acknowledge()
        if self._waits_for_log and reception.intake is not None:
            self._listen()
        now = time.monotonic()
        if door.news or (reception.shared and now - self._told > GRANT_MS / 1000):
            door.news = reception.shared = False
            self._told = now
            reception.tell()

    def close(self) -> None:
        """Syncs and closes the log, frees the sockets."""
        try:
            if self.reception.intake is not None:
                self._acknowledge()
                self.reception.intake.close()
        finally:
            self.router.close()
            self.door.router.close()

    def stats(self) -> p.Stats:
        """Everything a console or learner wants to know."""
        door, counted, intake = self.door, self.complaints, self.reception.intake
        return p.Stats(
            records=intake.records if intake else 0,
            steps=intake.steps if intake else 0,
            granted=door.granted,
            weights_version=door.store.version,
            quarantined=intake.quarantined if intake else 0,
            garbage=counted.garbage + self.router.garbage + door.router.garbage,
            refused=counted.refused,
            gaps=counted.gaps,
            queue=intake.queue if intake else 0,
            sync_ms=self.config.sync_ms,
            updates=door.updates,
            learner_age_ms=door.learner_age_ms(),
            actors=self.reception.registry.stats(time.monotonic()),
            denied=self.router.denied,
            control=door.control,
        )

    def _listen(self) -> None:
        """Waits on both addresses and, where there is a log, on its syncs."""
        descriptors, intake = [], self.reception.intake
        self._waits_for_log = intake is None
        if intake is not None and intake.syncer is not None:
            descriptors.append(intake.syncer.descriptor)
        self.waiter = Waiter([self.router, self.door.router], descriptors)

    def _acknowledge(self) -> None:
        """What is on disk, to whoever sent it."""
        if self.reception.intake is None:
            return
        for book in self.reception.intake.durable():
            for peer in self.reception.registry.peers(book):
                ack = p.Ack(book.actor, book.epoch, book.acknowledged)
                self.router.send(peer, p.encode(ack))
