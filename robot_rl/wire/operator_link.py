"""A person's end: looks at a run and, with an operator's key, commands its actors.

It talks to the address that actors use, or to the learner's own, in the caller's thread; every call
has a time limit.
"""

from __future__ import annotations

import time

from robot_rl.errors import HandshakeError, WireError
from robot_rl.wire import protocol as p
from robot_rl.wire.keys import ClientKeys
from robot_rl.wire.sockets import Dealer, Waiter

ANSWER_S = 5.0
POLL_MS = 20


class OperatorLink:
    """An operator's or a viewer's connection; what its role may not do is refused in words.

    with OperatorLink("tcp://gpu-host:5601", keys=folder.client(Role.OPERATOR)) as link:
        print(link.stats().steps)
        link.steer(ControlKind.PAUSE)
    """

    def __init__(
        self, address: str, *, keys: ClientKeys | None = None, insecure: bool = False
    ) -> None:
        """Connects whether ingest runs yet or not; WireError on an address not allowed."""
        self.address = address
        self._dealer = Dealer(address, insecure=insecure, keys=keys)
        self._waiter = Waiter([self._dealer])

    def stats(self, timeout_s: float = ANSWER_S) -> p.Stats:
        """The run as ingest sees it; HandshakeError if this key may not, WireError if silent."""
        self._dealer.send(p.encode(p.Ask()))
        return self._answer(timeout_s)

    def steer(self, kind: p.ControlKind, timeout_s: float = ANSWER_S) -> p.Stats:
        """Commands every actor, and gives the statistics with that command in force."""
        self._dealer.send(p.encode(p.SetControl(kind)))
        stats = self.stats(timeout_s)
        if stats.control.kind is not kind:
            raise WireError(f"another command came between: {stats.control.kind.name} is in force")
        return stats

    def close(self) -> None:
        """Frees the socket; may be called twice."""
        self._dealer.close()

    def _answer(self, timeout_s: float) -> p.Stats:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            message = self._dealer.receive()
            if message is None:
                trouble = self._dealer.look()
                if trouble.final or trouble.stranger:
                    raise HandshakeError(trouble.text)
                self._waiter.wait(POLL_MS)
                continue
            answer = p.decode(message.head)
            if isinstance(answer, p.Refusal):
                raise HandshakeError(answer.reason)
            if isinstance(answer, p.Stats):
                return answer
        why = self._dealer.trouble.text or f"nobody answers at {self.address}"
        raise WireError(f"{why} (waited {timeout_s:g} s)")

    def __enter__(self) -> OperatorLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
