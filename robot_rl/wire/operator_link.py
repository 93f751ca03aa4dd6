"""A person's end: looks at a run and, with an operator's key, commands its actors.

It talks to the address that actors use, or to the learner's own, in the caller's thread; every call
has a time limit.
"""

from __future__ import annotations

import time
from typing import TypeVar

from robot_rl.errors import DataError, HandshakeError, WireError
from robot_rl.wire import protocol as p
from robot_rl.wire.amendment import Amendment, encode, with_token
from robot_rl.wire.keys import ClientKeys
from robot_rl.wire.sockets import Dealer, Waiter

ANSWER_S = 5.0
POLL_MS = 20
RESEND_S = 0.5
"""Between two tries of an amendment."""
Answer = TypeVar("Answer", p.Stats, p.Amended)


class OperatorLink:
    """An operator's or a viewer's connection; what its role may not do is refused in words.

    with OperatorLink("tcp://gpu-host:5601", keys=folder.client(Role.OPERATOR)) as link:
        print(link.stats().steps)
        link.set_control(ControlKind.PAUSE, "arm-left")
    """

    def __init__(
        self, address: str, *, keys: ClientKeys | None = None, insecure: bool = False
    ) -> None:
        """Connects whether ingest runs yet or not; WireError on an address not allowed."""
        self.address = address
        self._dealer = Dealer(address, insecure=insecure, keys=keys)
        self._waiter = Waiter([self._dealer])
        self._asked = 0

    def stats(self, timeout_s: float = ANSWER_S) -> p.Stats:
        """The run as ingest sees it; HandshakeError if this key may not, WireError if silent."""
        self._asked += 1
        self._dealer.send(p.encode(p.Ask(self._asked)))
        while (answer := self._wait(p.Stats, timeout_s)) is not None:
            if answer.answers == self._asked:  # else one of a question that was given up
                return answer
        raise self._silence(timeout_s)

    def set_control(
        self, kind: p.ControlKind, actor: str = "", timeout_s: float = ANSWER_S
    ) -> p.Stats:
        """Commands one actor, or everyone, and gives the statistics with that command in force."""
        self._dealer.send(p.encode(p.SetControl(kind, actor)))
        stats = self.stats(timeout_s)
        found = stats.control_of(actor).kind
        if found is not kind:
            raise WireError(f"another command came between: {found.name} is in force")
        return stats

    def amend(self, amendment: Amendment, timeout_s: float = ANSWER_S) -> Amendment:
        """Appends second thoughts about an episode to the run's log, once; durable when it returns.

        Gives it with its token: after a WireError (no answer in time) that one may be given here
        again, and is still taken once. Raises HandshakeError if this key may not, DataError where
        ingest will not take it.
        """
        if not amendment.token:
            amendment = with_token(amendment)
        payload, end = encode(amendment), time.monotonic() + timeout_s
        while (left := end - time.monotonic()) > 0:
            self._dealer.send(p.encode(p.Amend()), b"", payload)
            answer = self._wait(p.Amended, min(RESEND_S, left))
            if answer is None or answer.token != amendment.token:
                continue
            if answer.refusal:
                raise DataError(answer.refusal)
            return amendment
        raise self._silence(timeout_s)

    def close(self) -> None:
        """Frees the socket; may be called twice."""
        self._dealer.close()

    def _silence(self, timeout_s: float) -> WireError:
        why = self._dealer.trouble.text or f"nobody answers at {self.address}"
        return WireError(f"{why} (waited {timeout_s:g} s)")

    def _wait(self, kind: type[Answer], timeout_s: float) -> Answer | None:
        """The next message of a kind, if it comes in time."""
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
            if isinstance(answer, kind):
                return answer
        return None

    def __enter__(self) -> OperatorLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
