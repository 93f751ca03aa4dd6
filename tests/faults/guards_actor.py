"""Guards of the actor's side: the ring, the control loop, what a record says."""

from __future__ import annotations

import time
from typing import Any

from fault_guard import guard, replace


@guard
def record_in_shared_memory_at_once() -> None:
    """Out: the actor keeps 32 records to itself before it shares them."""
    kept: list[bytes] = []
    function: Any = None

    def lazy(self: Any, record: memoryview) -> bool:
        kept.append(bytes(record))
        if len(kept) >= 32:
            for old in kept:
                function(self, old)
            kept.clear()
        return True

    function = replace("robot_rl.wire.ring:RingWriter.try_write", lazy)


@guard
def slot_before_counter() -> None:
    """Out: the ring's counter moves before the record is there, which is not checked either."""
    import numpy as np

    from robot_rl.wire import ring

    function: Any = None

    def torn(self: Any, record: memoryview) -> bool:
        self.head += 1
        ring._COUNTER.pack_into(self._map, ring._HEAD, self.head)
        time.sleep(0.0015)
        self.head -= 1
        done: bool = function(self, record)
        return done

    def unchecked(self: Any, limit: int) -> bytes:
        count = max(0, min(limit, self.depth, self.identity.slots))
        places = (self.position + np.arange(count)) % self.identity.slots
        size = self.identity.record_bytes
        payload: bytes = self._rows[places, 16 : 16 + size].tobytes()
        self.position += count
        return payload

    function = replace("robot_rl.wire.ring:RingWriter.try_write", torn)
    replace("robot_rl.wire.ring:RingReader.read", unchecked)


@guard
def older_rings_are_drained() -> None:
    """Out: an actor that starts throws away what its last life left in the ring."""
    from robot_rl.wire.ring import ring_paths

    function: Any = None

    def fresh(self: Any, directory: Any, actor: str, *words: Any, **options: Any) -> None:
        for path in ring_paths(directory, actor):
            path.unlink()
        function(self, directory, actor, *words, **options)

    function = replace("robot_rl.wire.ring:RingWriter.__init__", fresh)


@guard
def control_loop_asks_nobody() -> None:
    """Out: the control loop asks over a socket for statistics, and waits 3 s for the answer."""
    from robot_rl.wire.sockets import Dealer, Waiter

    calls = 0
    function: Any = None

    def asking(self: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 200 == 0:
            dealer = Dealer("tcp://127.0.0.1:9")
            dealer.send(b"statistics")
            Waiter([dealer]).wait(3000)
            dealer.close()
        return function(self)

    function = replace("robot_rl.wire.actor_link:ActorLink.newest", asking)


@guard
def time_limits_are_not_terminal() -> None:
    """Out: `done` is stored where only a terminal state should be."""
    function: Any = None

    def done(record: Any, transition: Any) -> None:
        function(record, transition)
        record["terminated"] |= record["truncated"]

    function = replace("robot_rl.wire.actor_link:write_step", done)


@guard
def credits_are_enforced() -> None:
    """Out: an actor may take as many steps as it likes."""
    replace("robot_rl.wire.actor_link:ActorLink.credits", property(lambda self: 1 << 60))


@guard
def pause_holds() -> None:
    """Out: what an ingest that has just begun says counts, a command or none."""
    from robot_rl.wire.session import IngestSession

    def obey(self: IngestSession, control: Any) -> None:
        self.mailbox.update(control_number=control.number, control_kind=int(control.kind))

    replace("robot_rl.wire.session:IngestSession._obey", obey)


@guard
def emergency_stop_latches() -> None:
    """Out: a stop lasts as long as the button is held."""
    replace("robot_rl.fault_latch:FaultLatch.latch", lambda self, reason, by_person=False: None)
    replace("robot_rl.fault_latch:FaultLatch.shown", property(lambda self: ""))


@guard
def commands_are_checked() -> None:
    """Out: a command goes to the limiter with whatever numbers it holds."""
    replace("robot_rl.drivers.spaces:check_command", lambda command, arms: command)


@guard
def stops_are_obeyed() -> None:
    """Out: the safety layer never looks at the flag that another thread has set."""
    replace("robot_rl.drivers.safe_robot:SafeRobot._obey", lambda self: bool(self._fault.reason))


@guard
def an_arms_own_move_obeys_stops() -> None:
    """Out: a simulated arm that drives a reset does not look at the flag on its way."""
    replace(
        "robot_rl.drivers.mujoco.robot:SimRobot._require_ready",
        lambda self: self._require_connection(),
    )


@guard
def resets_clear_no_stop() -> None:
    """Out: a simulated reset clears any fault."""
    replace("robot_rl.fault_latch:FaultLatch.forgive", lambda self: self.clear())
