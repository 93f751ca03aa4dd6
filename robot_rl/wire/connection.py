"""An actor's connection to ingest: why there is none, and a new one where the old is no good."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from robot_rl.errors import HandshakeError
from robot_rl.wire.keys import ClientKeys
from robot_rl.wire.mailbox import LinkStatus, MailboxWriter
from robot_rl.wire.sockets import Dealer, Received, Waiter

STALL_S = 3.0
"""Without an answer: a new connection and handshake."""
SILENT_S = 0.8
"""Without a connection: said why, as far as that is known."""


@dataclass(slots=True)
class Connection:
    """Connects when made, whether anyone listens yet or not; WireError on an address not allowed.

    What it finds it says in the actor's mailbox.
    """

    address: str
    actor: str
    mailbox: MailboxWriter
    insecure: bool = False
    keys: ClientKeys | None = None
    dealer: Dealer = field(init=False)
    _waiter: Waiter = field(init=False)
    _heard_at: float = field(init=False)
    _known: bool = False
    """This ingest has welcomed this side before."""
    _said: str = ""

    def __post_init__(self) -> None:
        self._open()

    def wait(self, timeout_ms: int) -> bool:
        """True when a message has come."""
        return self._waiter.wait(timeout_ms)

    def receive(self, now: float) -> Received | None:
        """The next message, or None."""
        message = self.dealer.receive()
        if message is not None:
            self._heard_at = now
        return message

    def welcomed(self) -> None:
        """The other side knows us."""
        self._known, self._said = True, ""
        self.mailbox.say(LinkStatus.CONNECTED)

    def renewed_after_stall(self, now: float, progress_at: float) -> bool:
        """True, with a new connection, when neither words nor progress have come for STALL_S."""
        if now - max(self._heard_at, progress_at) <= STALL_S:
            return False
        self.renew(self._said or f"no answer from {self.address}")
        return True

    def renew(self, text: str) -> None:
        """A new connection in place of this one, because of `text`."""
        self.mailbox.say(LinkStatus.DISCONNECTED, text)
        self.dealer.close()
        self._open()

    def watch(self, now: float) -> None:
        """Says why there is no connection; HandshakeError when the other side will never have us.

        Another server's key is final only at the start, where somebody looks: later the learner may
        be on its way back.
        """
        trouble = self.dealer.look()
        if trouble.final or (trouble.stranger and not self._known):
            self.mailbox.say(LinkStatus.REFUSED, trouble.text)
            raise HandshakeError(trouble.text)
        if trouble.open or now - self._heard_at < SILENT_S:
            return
        silent = "takes the connection and says nothing" if trouble.connected else "is not there"
        text = trouble.text or f"{self.address} {silent}"
        if text != self._said:
            self._said = text
            self.mailbox.say(LinkStatus.DISCONNECTED, text)
            print(f"WARN {self.actor}: {text}; trying on", file=sys.stderr, flush=True)

    def close(self) -> None:
        self.dealer.close()

    def _open(self) -> None:
        self.dealer = Dealer(self.address, insecure=self.insecure, keys=self.keys)
        self._waiter = Waiter([self.dealer])
        self._heard_at = time.monotonic()
