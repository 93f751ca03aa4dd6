"""The learner's small socket to ingest: weights, credits and commands out, statistics back.

The caller's thread sends without waiting; a thread of the link's own only heartbeats, receives and
repairs: whatever ingest does not know (it was restarted) is sent again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from robot_rl.errors import WireError
from robot_rl.types import Array
from robot_rl.wire import protocol as p
from robot_rl.wire.sockets import Dealer
from robot_rl.wire.weights import FlatWeights

PERIOD_S = 0.05
ASK_S = 0.2
REPAIR_S = 1.0


class LearnerLink:
    """The learner's end.

    link = LearnerLink(address)
    link.publish(agent.policy_weights(), version)
    link.grant(total_steps)
    link.heartbeat(updates)
    """

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        """Connects whether ingest runs yet or not; WireError on an address not allowed."""
        self._lock = threading.Lock()
        self._dealer = Dealer(address, insecure=insecure)
        self._weights: FlatWeights | None = None
        self._grant: p.Grant | None = None
        self._sent_at = 0.0
        self._asked_at = 0.0
        self._updates = 0
        self._beat_at = 0.0
        self._stats: p.Stats | None = None
        self.refusals: list[str] = []
        """What ingest refused, newest last; bounded."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learner-link", daemon=True)
        self._thread.start()

    def publish(self, weights: Mapping[str, Array], version: int) -> None:
        """Sends float32 weights to every actor, version >= 1; PoisonedDataError on NaN."""
        if version < 1:
            raise WireError(f"weights version {version}; valid: 1 and up")
        flat = FlatWeights.pack(weights, version)
        with self._lock:
            self._weights = flat
            self._send_weights()

    def grant(self, total_steps: int, version: int | None = None) -> None:
        """Lets the log grow to `total_steps` training STEPs in all, the present ones included.

        version: no actor is told before ingest has weights of this version or a newer one;
        by default any version, if one was published here before.
        """
        with self._lock:
            if version is None:
                version = int(self._weights is not None)
            grant = p.Grant(total_steps, version)
            if grant != self._grant:
                self._grant = grant
                self._send_grant()

    def control(self, kind: p.ControlKind, actor: str = "") -> None:
        """Commands one actor, or everyone."""
        with self._lock:
            if not self._dealer.send(p.encode(p.SetControl(kind, actor))):
                raise WireError(f"the command {kind.name} could not be sent: ingest does not read")

    def heartbeat(self, updates: int) -> None:
        """Called by the learner's own loop: it lives and has done so many updates."""
        self._updates, self._beat_at = updates, time.monotonic()

    def stats(self) -> p.Stats | None:
        """The newest statistics, at most about 0.3 s old while ingest runs; None before any."""
        return self._stats

    def wait_connected(self, timeout_s: float) -> p.Stats:
        """Waits for the first statistics; WireError when ingest does not answer in time."""
        end = time.monotonic() + timeout_s
        while self._stats is None:
            if time.monotonic() > end:
                raise WireError(f"ingest does not answer within {timeout_s:g} s")
            time.sleep(0.005)
        return self._stats

    def close(self) -> None:
        """Ends the thread and frees the socket; may be called twice."""
        self._stop.set()
        self._thread.join()
        self._dealer.close()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            now = time.monotonic()
            with self._lock:
                self._receive()
                if now - self._asked_at > ASK_S:
                    self._asked_at = now
                    age = int(1000 * (now - self._beat_at)) if self._beat_at else -1
                    self._dealer.send(p.encode(p.Pulse(self._updates, age)))

    def _receive(self) -> None:
        while (message := self._dealer.receive()) is not None:
            try:
                parsed = p.decode(message.head)
            except WireError:
                continue
            if isinstance(parsed, p.Stats):
                self._stats = parsed
                self._repair(parsed)
            elif isinstance(parsed, p.Refusal):
                self.refusals = [*self.refusals[-9:], parsed.reason]

    def _repair(self, stats: p.Stats) -> None:
        if time.monotonic() - self._sent_at < REPAIR_S:
            return
        if self._weights is not None and stats.weights_version != self._weights.version:
            self._send_weights()
        if self._grant is not None and stats.granted != self._grant.total_steps:
            self._send_grant()

    def _send_weights(self) -> None:
        if self._weights is None:
            return
        self._sent_at = time.monotonic()
        size = len(self._weights.data)
        for offset in range(0, max(size, 1), p.PART_BYTES):
            head, body = self._weights.part(offset, p.PART_BYTES)
            if not self._dealer.send(p.encode(head), b"", body):
                return  # ingest is away; repaired when it is back

    def _send_grant(self) -> None:
        self._sent_at = time.monotonic()
        if self._grant is not None:
            self._dealer.send(p.encode(self._grant))
