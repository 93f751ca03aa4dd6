"""The actor's side of weights: asked for piece by piece, whole and good into the mailbox."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rl.errors import PoisonedDataError, WireError
from robot_rl.wire import protocol as p
from robot_rl.wire.mailbox import LinkStatus, MailboxWriter
from robot_rl.wire.sockets import Dealer
from robot_rl.wire.weights import Assembly

FETCH_S = 1.0
"""Without a piece of weights: asked for again."""


@dataclass(slots=True)
class WeightFetch:
    """One request stands at most; the answer to it brings the next. Times are monotonic seconds."""

    mailbox: MailboxWriter
    _assembly: Assembly = field(default_factory=Assembly)
    _asked_at: float = 0.0

    def follow(self, dealer: Dealer, now: float) -> None:
        """Asks for whatever follows on the version that is here, as soon as there is something."""
        self._ask(dealer, self.mailbox.state.weights_version, -1, now)

    def repair(self, dealer: Dealer, newest: int, now: float) -> None:
        """Asks for `newest` where the waiting request, or the answer to it, was lost."""
        missing = newest not in (0, self.mailbox.state.weights_version)
        if missing and now - self._asked_at > FETCH_S:
            self._ask(dealer, newest, 0, now)

    def take(self, dealer: Dealer, part: p.Part, body: bytes | memoryview, now: float) -> bool:
        """Handles a piece; False where the weights were refused and the last ones stay."""
        try:
            done = self._assembly.add(part, body)
        except (WireError, PoisonedDataError) as error:
            self.mailbox.say(LinkStatus.CONNECTED, f"weights refused, the last stay: {error}")
            return False
        if done is not None:
            self.mailbox.put_weights(done)
            self._ask(dealer, done.version, -1, now)
        elif part.version == self._assembly.version and self._assembly.offset:
            self._ask(dealer, part.version, self._assembly.offset, now)
        return True

    def _ask(self, dealer: Dealer, version: int, offset: int, now: float) -> None:
        self._asked_at = now
        dealer.send(p.encode(p.Get(version, offset)))
