"""Ingest's loop: the actors' address, the learner's, and the log between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.errors import RobotRLError
from robot_rl.ingest.actor_endpoint import ActorEndpoint
from robot_rl.ingest.learner_endpoint import LearnerEndpoint
from robot_rl.ingest.log_counts import open_log
from robot_rl.ingest.warnings import Warnings
from robot_rl.memory import keep_heap
from robot_rl.wire import protocol as p
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.process import IngestConfig
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
    learner_endpoint: LearnerEndpoint = field(init=False)
    actor_endpoint: ActorEndpoint = field(init=False)
    waiter: Waiter = field(init=False)
    warnings: Warnings = field(default_factory=Warnings)
    _waits_for_log: bool = True
    _told: float = 0.0

    def __post_init__(self) -> None:
        keep_heap()
        config = self.config
        keys = KeyFolder(Path(config.keys)) if config.keys else None
        self.router = Router(config.actor_address, insecure=config.insecure, keys=keys)
        try:
            learner = Router(config.learner_address, insecure=config.insecure)
            self.learner_endpoint = LearnerEndpoint(
                learner, self.warnings, config.granted, self.stats, self.known, self.amend
            )
            self.actor_endpoint = ActorEndpoint(
                config, self.router, self.learner_endpoint, self.warnings
            )
            try:
                log = open_log(Path(config.log_dir), config.spec)
                if log is not None:
                    self.warnings.warn(log.torn)
                    self.actor_endpoint.serve(log)
            except RobotRLError:
                learner.close()
                raise
        except RobotRLError:
            self.router.close()
            raise
        self._listen()

    def turn(self) -> None:
        """Waits for something, then handles what there is."""
        actor_endpoint, learner_endpoint = self.actor_endpoint, self.learner_endpoint
        self.waiter.wait(GRANT_MS if actor_endpoint.shared else WAIT_MS)
        granted = learner_endpoint.granted
        for _ in range(BURST):
            if (message := learner_endpoint.router.receive()) is None:
                break
            learner_endpoint.take(message)
        if learner_endpoint.granted != granted:
            actor_endpoint.share()
        actor_endpoint.admit()
        left = BURST_BYTES
        for _ in range(BURST):
            if left < 0 or (message := self.router.receive()) is None:
                break
            left -= len(message.body)
            actor_endpoint.take(message)
        actor_endpoint.commit()
        self._acknowledge()
        if self._waits_for_log and actor_endpoint.committer is not None:
            self._listen()
        now = time.monotonic()
        if learner_endpoint.news or (actor_endpoint.shared and now - self._told > GRANT_MS / 1000):
            learner_endpoint.news = actor_endpoint.shared = False
            self._told = now
            actor_endpoint.announce()

    def close(self) -> None:
        """Syncs and closes the log, frees the sockets."""
        try:
            if self.actor_endpoint.committer is not None:
                self._acknowledge()
                self.actor_endpoint.committer.close()
        finally:
            self.router.close()
            self.learner_endpoint.router.close()

    def stats(self) -> p.Stats:
        """Everything a console or learner wants to know."""
        learner_endpoint, counted, committer = (
            self.learner_endpoint,
            self.warnings,
            self.actor_endpoint.committer,
        )
        return p.Stats(
            records=committer.records if committer else 0,
            steps=committer.steps if committer else 0,
            granted=learner_endpoint.granted,
            weights_version=learner_endpoint.store.version,
            quarantined=committer.quarantined if committer else 0,
            garbage=counted.garbage + self.router.garbage + learner_endpoint.router.garbage,
            refused=counted.refused,
            gaps=counted.gaps,
            queue=committer.queue if committer else 0,
            sync_ms=self.config.sync_ms,
            updates=learner_endpoint.updates,
            learner_age_ms=learner_endpoint.learner_age_ms(),
            actors=self.actor_endpoint.sessions.stats(time.monotonic()),
            denied=self.router.denied,
            control=learner_endpoint.controls.everyone,
            controls=learner_endpoint.controls.named,
        )

    def known(self) -> set[str]:
        """Ids of the actors that have come, in this life of ingest or before."""
        return {actor for actor, _ in self.actor_endpoint.sessions.books}

    def amend(self, body: bytes | memoryview, answer: Callable[[p.Amended], object]) -> None:
        """An amendment from the learner's side, which may amend everyone's episodes."""
        self.actor_endpoint.amend(body, answer)

    def _listen(self) -> None:
        """Waits on both addresses and, where there is a log, on its syncs."""
        descriptors, committer = [], self.actor_endpoint.committer
        self._waits_for_log = committer is None
        if committer is not None and committer.syncer is not None:
            descriptors.append(committer.syncer.descriptor)
        self.waiter = Waiter([self.router, self.learner_endpoint.router], descriptors)

    def _acknowledge(self) -> None:
        """What is on disk, to whoever sent it."""
        if self.actor_endpoint.committer is None:
            return
        for book in self.actor_endpoint.committer.durable():
            for peer in self.actor_endpoint.sessions.peers(book):
                ack = p.Ack(book.actor, book.epoch, book.acknowledged)
                self.router.send(peer, p.encode(ack))
        if self.actor_endpoint.amendments is not None:
            self.actor_endpoint.amendments.announce()
