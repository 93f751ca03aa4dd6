"""What the control loop uses: records into the ring; weights, credits, commands from the mailbox.

No socket, no disk, no lock and no wait; a step costs a copy and a checksum.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from robot_rl.errors import DataError, WireError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation, Purpose, Transition
from robot_rl.wire.amendment import Amendment, with_token
from robot_rl.wire.handshake import check_actor
from robot_rl.wire.locks import FileLock
from robot_rl.wire.mailbox import LinkStatus, MailboxReader, MailState
from robot_rl.wire.outbox import leave
from robot_rl.wire.protocol import Control, ControlKind
from robot_rl.wire.record import NOTHING, new_record, record_dtype, write_start, write_step
from robot_rl.wire.ring import RingWriter

RING_BYTES = 64 << 20
IO_SILENT_S = 2.0


class ActorLink:
    """A TransitionSink and WeightSource over shared memory.

    link = ActorLink(runtime_dir, spec, "actor-0", epoch)
    while running:
        if (new := link.newest()): policy.load(*new)
        while link.credits <= steps or link.hold_reason(): wait and say why
        link.step(transition)
    link.close()
    """

    def __init__(
        self,
        runtime_dir: Path,
        spec: EnvSpec,
        actor: str,
        epoch: int,
        *,
        slots: int | None = None,
    ) -> None:
        """Starts a new life of `actor`; InUseError while another process is that actor.

        `slots` is the ring's length in records; by default what fits in 64 MiB, 64 to 65536.
        """
        self._directory, self._actor = runtime_dir, check_actor(actor)
        dtype = record_dtype(spec)
        if slots is None:
            slots = min(65536, max(64, RING_BYTES // dtype.itemsize))
        self._lock = FileLock(runtime_dir / f"{actor}.lock", f"actor id '{actor}'")
        self._mailbox = MailboxReader(runtime_dir, actor, epoch)
        self._ring = RingWriter(runtime_dir, actor, epoch, spec.to_json(), dtype.itemsize, slots)
        self._record = new_record(dtype)
        self._bytes = memoryview(self._record.view("u1").data)
        self._epoch = epoch
        self._born_ns = time.monotonic_ns()
        self._used = 0
        self.next_sequence = 0
        """Sequence of the next record; the link counts, whatever a transition says."""
        self.resting = False
        """Set by the control loop while it stands between episodes because it is paused; consoles
        are told with its next beat (`newest`)."""

    def start(
        self,
        obs: Observation,
        episode: int,
        stamp_ns: int,
        boot_id: int,
        *,
        stamps: Mapping[str, int] = NOTHING,
        purpose: Purpose = Purpose.TRAINING,
        extras: Mapping[str, Array] = NOTHING,
    ) -> None:
        """Leaves the first observation of an episode, see `write_start`; WireError when the ring
        is full."""
        write_start(
            self._record,
            obs,
            episode=episode,
            stamp_ns=stamp_ns,
            boot_id=boot_id,
            sequence=self.next_sequence,
            stamps=stamps,
            purpose=purpose,
            extras=extras,
        )
        self._write()

    def step(self, transition: Transition) -> None:
        """Leaves a transition; WireError when the ring is full (see `hold_reason`)."""
        write_step(self._record, transition)
        self._record["sequence"] = self.next_sequence
        self._write()

    def amend(self, amendment: Amendment) -> Amendment:
        """Leaves second thoughts about an episode of this actor; gives it with its token.

        It reaches the log behind what is in the ring now, once. Raises DataError or
        PoisonedDataError on one that says nothing or is another actor's, WireError where too many
        wait. Costs some 50 µs: not for every step.
        """
        if amendment.actor != self._actor:
            raise DataError(f"actor '{self._actor}' cannot amend an episode of '{amendment.actor}'")
        amendment = with_token(amendment)
        after = self.next_sequence if amendment.epoch == self._epoch else 0
        leave(self._directory, self._actor, amendment, after)
        return amendment

    def newest(self) -> tuple[Mapping[str, Array], int] | None:
        """Weights newer than the last given, float32 and read-only, with their version."""
        self._mailbox.beat(self._used, self.resting)
        state = self._mailbox.state()
        if state.weights_version == self._used:
            return None
        found = self._mailbox.weights(state)
        if found is not None:
            self._used = found[1]
        return found

    @property
    def published_version(self) -> int:
        """Newest version that the learner has published, as far as the I/O process knows."""
        return self._state().published_version

    @property
    def credits(self) -> int:
        """Training steps that this life may take in total; 0 until the learner has granted any.

        Where the learner names a weights version with its grant, `published_version` is at least
        that one by the time the credit is here.
        """
        state = self._state()
        return state.credits if state.credit_epoch == self._epoch else 0

    @property
    def status(self) -> LinkStatus:
        return LinkStatus(self._state().status)

    @property
    def room(self) -> int:
        """Records that fit in the ring now."""
        return self._ring.room

    def queues(self) -> dict[str, int]:
        """What waits between this loop and ingest: records in the ring, kB in the spool."""
        ring = self._ring.identity.slots - self._ring.room
        return {"ring": ring, "spool, kB": self._state().spool_bytes // 1000}

    def control(self) -> Control:
        """The newest command; its `number` tells a new one from one already obeyed."""
        return self._state().control()

    def hold_reason(self, need: int = 2) -> str:
        """Why the robot must not start `need` more records of work, "" when it may.

        A simulation asks before each step, hardware before each episode with its longest length.
        """
        if self._ring.room >= min(need, self._ring.identity.slots):
            return ""
        state = self._state()
        if LinkStatus(state.status) in (LinkStatus.SPOOL_FULL, LinkStatus.REFUSED):
            return f"{LinkStatus(state.status).name.lower()}: {self._mailbox.text}"
        silent = (time.monotonic_ns() - state.beat_ns) / 1e9
        if not state.beat_ns or silent > IO_SILENT_S:
            return "the ring is full: the I/O process does not run"
        return f"the ring is full: the I/O process is behind ({self._mailbox.text or 'no reason'})"

    def trouble(self) -> str:
        """Why records do not reach ingest now, "" while they do or have just begun to."""
        state = self._state()
        status = LinkStatus(state.status)
        if time.monotonic_ns() - max(state.beat_ns, self._born_ns) > IO_SILENT_S * 1e9:
            return "the I/O process does not run"
        if status in (LinkStatus.DISCONNECTED, LinkStatus.SPOOL_FULL):
            return self._mailbox.text or status.name.lower()
        return "the I/O process has ended" if status is LinkStatus.ENDED else ""

    def refusal(self) -> str:
        """Why ingest refused this actor for good, "" while it has not."""
        return self._mailbox.text if self.status is LinkStatus.REFUSED else ""

    def close(self) -> None:
        """Ends this life; what is in the ring still goes out. May be called twice."""
        self._bytes.release()
        self._ring.close()
        self._mailbox.close()
        self._lock.release()

    def _state(self) -> MailState:
        """The mailbox; of what an I/O process said before this life, only the weights count, and
        a pause: it was for the robot."""
        state = self._mailbox.state()
        if state.beat_ns >= self._born_ns:
            return state
        version = state.weights_version
        paused = state.control_kind == ControlKind.PAUSE
        kind = ControlKind.PAUSE if paused else ControlKind.RUN
        return MailState(weights_version=version, published_version=version, control_kind=kind)

    def _write(self) -> None:
        if not self._ring.try_write(self._bytes):
            raise WireError(
                f"{self.hold_reason()}; record {self.next_sequence} could not be kept. Ask "
                "hold_reason() before a step"
            )
        self.next_sequence += 1
