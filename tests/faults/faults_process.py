"""Faults of processes, peers and clocks."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from fault_recorder import Broken, What, notes
from fault_world import ACTOR, HUNG_S, World, wait_for

from robot_rl.errors import WireError
from robot_rl.wire.mailbox import LinkStatus
from robot_rl.wire.protocol import ControlKind


def run_a_while(seconds: float) -> Callable[[World], None]:
    """Everything runs; the settings are the fault."""

    def inject(world: World) -> None:
        world.start_all()
        time.sleep(seconds)

    return inject


def stopped(world: World) -> None:
    """SIGSTOP and SIGCONT of each side in turn, ingest longer than a session may be silent."""
    world.start_all()
    for side, seconds in (("actor", 0.5), ("io", 1.5), ("ingest", 4.0)):
        world.stop(side, seconds)
        world.goes_on()


def paused(world: World) -> None:
    """A person pauses; whoever restarts then, the robot stays where it is until a person says so.

    The learner's host starts again, then the I/O process, then the actor.
    """
    _restarts_while_paused(world, lambda: None)
    control = world.learner().wait_connected(HUNG_S).control
    if control.kind is not ControlKind.PAUSE:
        raise Broken(f"ingest says {control.kind.name}: actors that come later would move")
    _goes_on(world)


def paused_elsewhere(world: World) -> None:
    """The same, and the ingest that comes up knows nothing of the pause: it was another host's."""
    _restarts_while_paused(world, (world.log_dir / "command.json").unlink)
    _goes_on(world)


def _restarts_while_paused(world: World, forget: Callable[[], None]) -> None:
    world.start_all()
    world.learner().control(ControlKind.PAUSE)
    before = _rests(world)
    for side in ("ingest", "io", "actor"):
        world.kill(side)
        if side == "ingest":
            forget()
        world.start_side(side)
        time.sleep(1.5)
        if moved := written(world) - before:
            raise Broken(f"{moved} steps of a paused robot after a restart of {side}")


def _rests(world: World) -> int:
    """Waits until the actor writes no more; gives how many records it has written."""
    found: list[int] = []

    def still() -> bool:
        found.append(written(world))
        time.sleep(0.5)
        return written(world) == found[-1]

    wait_for("the pause", still)
    return found[-1]


def _goes_on(world: World) -> None:
    world.learner().control(ControlKind.RUN)
    world.goes_on()


def written(world: World) -> int:
    """Records that actors have written so far."""
    return sum(note.what is What.WRITTEN for note in notes(world.book("actor")))


def one_name_twice(world: World) -> None:
    """An actor with the same id and a spool of its own elsewhere is told so, and has to wait."""
    world.start_all()
    with World(world.folder / "elsewhere", without=world.without) as other:
        other.addresses = world.addresses
        other.start_side("io")
        second = other.link(ACTOR, 77)
        try:
            wait_for("the refusal", lambda: "in use" in second._mailbox.text, world.patience_s)
        except WireError as error:
            raise Broken(f"the second actor '{ACTOR}' was not refused: {error}") from None
        if second.status is LinkStatus.CONNECTED:
            raise Broken(f"two actors named '{ACTOR}' are connected")
    world.goes_on()


def another_rate(world: World) -> None:
    """An I/O process whose specification differs ends with the difference, and sends nothing."""

    world.start_all()
    spec = dataclasses.replace(world.spec, rate_hz=20.0)
    with World(world.folder / "elsewhere", spec, without=world.without) as other:
        other.addresses = world.addresses
        other.start_side("io")
        link = other.link(ACTOR, 77)
        try:
            code = other.sides["io"].wait(world.patience_s)
        except subprocess.TimeoutExpired:
            raise Broken("another specification was not refused") from None
        if code != 2 or "rate_hz" not in other.said("io") or "rate_hz" not in link.refusal():
            raise Broken(f"refused without the reason: {code}, {other.said('io')}")


FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def clock_jumps(world: World) -> None:
    """The wall clock of ingest and I/O jumps an hour ahead, then two back; nobody may notice."""
    clock = world.folder / "clock"
    clock.write_text("+0\n")
    world.environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    world.start_side("ingest")
    world.start_side("io")
    world.environment = {}
    world.start_side("actor")
    world.begins()
    for jump in ("+1h", "-1h"):
        clock.write_text(f"{jump}\n")
        time.sleep(1.6)
        world.kill("actor")
        world.start_side("actor")
        world.wait_up(world.epochs)
        world.goes_on()


def driver_raises(world: World) -> None:
    """The actor ends with an error in mid-episode; what it has written arrives."""
    world.start_side("ingest")
    world.start_side("io")
    world.start_side("actor")
    if world.sides["actor"].wait(HUNG_S) == 0:
        raise Broken("the actor went on without its robot")


def learner_too_slow(world: World) -> None:
    """A learner 100 times slower than the actor: the log never outgrows what it has granted."""
    world.granted = 0
    world.start_side("ingest")
    learner = world.learner()
    learner.grant(20)
    world.start_side("io")
    world.start_side("actor")
    world.begins()
    for granted in range(20, 40):
        learner.grant(granted)
        time.sleep(0.1)
        stats = learner.stats()
        if stats is not None and stats.steps > granted:
            raise Broken(f"{stats.steps} steps in the log, {granted} granted")
    learner.grant(1 << 40)
