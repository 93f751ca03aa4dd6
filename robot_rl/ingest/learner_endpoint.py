"""The learner's address of ingest: weights, credits and commands come in, figures go out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from robot_rl.errors import DataError, PoisonedDataError, WireError
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
    store: WeightStore = field(default_factory=WeightStore)
    control: p.Control = field(default_factory=p.Control)
    updates: int = 0
    news: bool = False
    """Something that actors are told at once."""
    credit_version: int = 0
    """Weights that new credit is for."""
    _heard: float = 0.0
    _loop_age_ms: int = -1
    _kept_pause: KeptPause | None = None

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
                    self.router.send(message.peer, p.encode(self.stats()))
                case p.Grant(total, version):
                    self.granted, self.credit_version = total, version
                case p.SetControl():
                    self.steer(parsed)
                case p.Part():
                    self.news = self.store.take(parsed, message.body) or self.news
                case _:
                    raise WireError(f"a {type(parsed).__name__} at the learner's address")
        except (WireError, PoisonedDataError) as error:
            self.warnings.count_garbage(f"from the learner's side: {error}")
            self.router.send(message.peer, p.encode(p.Refusal(str(error))))

    def steer(self, steer: p.SetControl) -> None:
        """An operator's command, for every actor."""
        self.control = p.Control(self.control.number + 1, steer.kind)
        self.news = True
        self._keep()

    def remember(self, kept_pause: KeptPause) -> None:
        """There is a log: a pause from before this ingest holds, unless a command came since."""
        self._kept_pause = kept_pause
        if not self.control.number:
            self.control = kept_pause.control()
            self.news = True
        self._keep()

    def _keep(self) -> None:
        try:
            if self._kept_pause is not None:
                self._kept_pause.keep(self.control)
        except DataError as error:
            self.warnings.say(f"the command holds, but not beyond a restart: {error}")

    def learner_age_ms(self) -> int:
        """Milliseconds since a learner's loop beat, or since one was heard that has not begun its
        loop; -1 before."""
        if not self._heard:
            return -1
        return int(1000 * (time.monotonic() - self._heard)) + max(0, self._loop_age_ms)
