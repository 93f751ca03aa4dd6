"""The learner's address of ingest: weights, credits and commands come in, figures go out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from robot_rl.errors import DataError, PoisonedDataError, WireError
from robot_rl.ingest.controls import Controls
from robot_rl.ingest.kept_pause import KeptPause
from robot_rl.ingest.warnings import Warnings
from robot_rl.ingest.weight_store import WeightStore
from robot_rl.wire import protocol as p
from robot_rl.wire.sockets import Received, Router


@dataclass(slots=True)
class LearnerEndpoint:
    """What the learner (and an operator) have said last; `take` handles one message."""

    router: Router
    warnings: Warnings
    granted: int
    """Environment steps that all actors together may take."""
    stats: Callable[[], p.Stats]
    known: Callable[[], set[str]]
    """Ids of the actors that have come."""
    amend: Callable[[bytes | memoryview, Callable[[p.Amended], object]], None]
    """Takes an amendment and answers it."""
    store: WeightStore = field(default_factory=WeightStore)
    controls: Controls = field(default_factory=Controls)
    updates: int = 0
    news: bool = False
    """Something that actors are told at once."""
    credit_version: int = 0
    """Weights that new credit is for."""
    _heard: float = 0.0
    _loop_age_ms: int = -1
    _kept_pause: KeptPause | None = None
    _grant: p.Grant | None = None
    """One that waits for its weights."""

    def take(self, message: Received) -> None:
        """Handles one message; what makes no sense is answered, counted and said."""
        try:
            parsed = p.decode(message.head)
            match parsed:
                case p.Pulse():
                    self.updates = parsed.updates
                    self._heard, self._loop_age_ms = time.monotonic(), parsed.loop_age_ms
                    self.router.send(message.peer, p.encode(self.stats()))
                case p.Ask():
                    self.router.send(message.peer, self.answer_to(parsed))
                case p.Grant():
                    self._grant = parsed
                    self._take_grant()
                case p.SetControl():
                    self.set_control(parsed)
                case p.Amend():
                    self.amend(message.body, self.answer(message.peer))
                case p.Part():
                    if self.store.take(parsed, message.body):
                        self.news = True
                        self._take_grant()
                case _:
                    raise WireError(f"a {type(parsed).__name__} at the learner's address")
        except (WireError, DataError, PoisonedDataError) as error:
            self.warnings.count_garbage(f"from the learner's side: {error}")
            self.router.send(message.peer, p.encode(p.Refusal(str(error))))

    def answer_to(self, ask: p.Ask) -> bytes:
        """The statistics, as the answer to a question."""
        return p.encode(msgspec.structs.replace(self.stats(), answers=ask.number))

    def answer(self, peer: bytes) -> Callable[[p.Amended], object]:
        """Sends an answer about an amendment to a peer of this address."""
        return lambda amended: self.router.send(peer, p.encode(amended))

    def set_control(self, command: p.SetControl) -> None:
        """An operator's command; WireError where it is for an actor that nobody knows."""
        known = self.known()
        if command.actor and command.actor not in known:
            names = ", ".join(sorted(known)) or "none has come yet"
            raise WireError(f"actor '{command.actor}' is not known here; valid: {names}")
        self.controls.set(command)
        self.news = True
        self._keep()

    def _take_grant(self) -> None:
        """Credits go out no earlier than the version that they are named with."""
        if self._grant is not None and self.store.version >= self._grant.version:
            self.granted, self.credit_version = self._grant.total_steps, self._grant.version
            self._grant = None

    def remember(self, kept_pause: KeptPause) -> None:
        """There is a log: a pause from before this ingest holds, unless a command came since."""
        self._kept_pause = kept_pause
        if not self.controls.number:
            self.controls = kept_pause.controls()
            self.news = True
        self._keep()

    def _keep(self) -> None:
        try:
            if self._kept_pause is not None:
                self._kept_pause.keep(self.controls)
        except DataError as error:
            self.warnings.say(f"the command holds, but not beyond a restart: {error}")

    def learner_age_ms(self) -> int:
        """Milliseconds since a learner's loop beat, or since one was heard that has not begun its
        loop; -1 before."""
        if not self._heard:
            return -1
        return int(1000 * (time.monotonic() - self._heard)) + max(0, self._loop_age_ms)
