"""The last good weights, in pieces for whoever asks."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot_rl.ingest.sessions import Session
from robot_rl.wire.protocol import PART_BYTES, Get, Part
from robot_rl.wire.weights import Assembly, FlatWeights


@dataclass(slots=True)
class WeightStore:
    """Newest published weights; poisoned or damaged ones never replace them."""

    weights: FlatWeights | None = None
    _assembly: Assembly = field(default_factory=Assembly)

    @property
    def version(self) -> int:
        """0 before any."""
        return self.weights.version if self.weights is not None else 0

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.weights.data) if self.weights is not None else 0

    def take(self, part: Part, body: bytes | memoryview) -> bool:
        """A piece from the learner; True when it completes a version.

        Raises WireError or PoisonedDataError; the last good weights stay.
        """
        done = self._assembly.add(part, body)
        if done is not None:
            self.weights = done
        return done is not None

    def answer(self, session: Session, get: Get) -> tuple[Part, memoryview] | None:
        """The piece asked for; None when it must wait or its version is no longer the newest."""
        if get.offset < 0:
            session.wants_after = get.version
            return self.wanted(session)
        if self.weights is None or get.version != self.weights.version:
            return None
        return self.weights.part(get.offset, PART_BYTES)

    def wanted(self, session: Session) -> tuple[Part, memoryview] | None:
        """The first piece, if this peer's waiting request can be answered now."""
        if self.weights is None or session.wants_after in (-1, self.weights.version):
            return None
        session.wants_after = -1
        return self.weights.part(0, PART_BYTES)
