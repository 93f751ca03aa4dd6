"""The fault list: each row injects one fault into a World; its twin lacks the row's guard.

A new row is one entry in ROWS: `inject` starts what it needs and raises Broken where something of
its own does not hold; invariant I1 is judged for every row when it is through.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_namespace import Namespace, no_namespaces, no_netem
from fault_proxy import Proxy
from fault_world import ACTOR, Broken, World, wait_for

from robot_rl.errors import WireError
from robot_rl.wire.mailbox import LinkStatus

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@dataclass(frozen=True)
class Row:
    """One fault."""

    name: str
    inject: Callable[[World], None]
    guard: str
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    needs: Callable[[], str] = lambda: ""
    """Why this machine cannot, "" where it can."""
    slow: bool = False


def run_a_while(seconds: float) -> Callable[[World], None]:
    """Everything runs; the settings are the fault."""

    def inject(world: World) -> None:
        world.start_all()
        time.sleep(seconds)

    return inject


def mangled(kind: str, share: float = 0.15) -> Callable[[World], None]:
    """A share of the I/O process's chunks suffers."""

    def inject(world: World) -> None:
        world.start_side("ingest")
        world.start_side("io", mangle={"kind": kind, "share": share, "seed": 1})
        world.start_side("actor")
        world.acknowledged_after(0.0, 10.0)
        time.sleep(1.0)
        world.acknowledged_after(time.monotonic(), 5.0)

    return inject


def flipped_bits(world: World) -> None:
    """The TCP stream towards ingest has wrong bits."""
    with through_proxy(world) as proxy:
        proxy.flip = 2e-5
        time.sleep(3.0)
        proxy.flip = 0.0
        if not proxy.flipped:
            raise Broken("no bit was flipped")
        world.acknowledged_after(time.monotonic(), 10.0)
        world.finish_actor()


def partitioned(world: World) -> None:
    """Nothing passes for longer than a session may be silent, connections are cut, delays."""
    with through_proxy(world) as proxy:
        proxy.delay_s, proxy.jitter_s = 0.02, 0.03
        time.sleep(1.0)
        proxy.delay_s = proxy.jitter_s = 0.0
        for _ in range(5):
            proxy.cut()
            time.sleep(0.15)
        proxy.stalled = True
        time.sleep(3.6)
        proxy.stalled = False
        world.acknowledged_after(time.monotonic(), 10.0)
        world.finish_actor()


def through_proxy(world: World) -> Proxy:
    """Everything over TCP, the I/O process through the proxy."""
    world.addresses = ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    actors, door = world.output("ingest").split("READY ")[1].split()[:2]
    proxy = Proxy(int(actors.rpartition(":")[2]))
    world.addresses = (f"tcp://127.0.0.1:{proxy.port}", door)
    world.start_side("io")
    world.start_side("actor")
    world.acknowledged_after(0.0, 20.0)
    return proxy


def bad_link(trouble: list[str]) -> Callable[[World], None]:
    """The I/O process in a network namespace of its own; its link goes down, or is as bad as
    `trouble` (of tc netem) says."""

    def inject(world: World) -> None:
        with Namespace(f"rrl{os.getpid() % 10**6}") as space:
            world.addresses = (f"tcp://{space.near}:*", world.addresses[1])
            world.settings = {"ingest": {"insecure": True}, "io": {"insecure": True}}
            world.start_side("ingest")
            wait_for("ingest", lambda: "READY" in world.output("ingest"))
            world.addresses = (world.output("ingest").split("READY ")[1].split()[0], "")
            world.prefix = {"io": ["ip", "netns", "exec", space.name]}
            world.start_side("io")
            world.start_side("actor")
            world.acknowledged_after(0.0, 20.0)
            if trouble:
                space.netem(*trouble)
                time.sleep(4.0)
                space.netem()
            else:
                space.link("down")
                time.sleep(4.0)
                space.link("up")
            world.acknowledged_after(time.monotonic(), 15.0)
            world.finish()
            world.judged = world.judge()

    return inject


def stopped(world: World) -> None:
    """SIGSTOP and SIGCONT of each side in turn, ingest longer than a session may be silent."""
    world.start_all()
    for side, seconds in (("actor", 0.5), ("io", 1.5), ("ingest", 4.0)):
        world.stop(side, seconds)
        world.acknowledged_after(time.monotonic())


def one_name_twice(world: World) -> None:
    """An actor with the same id and a spool of its own elsewhere is told so, and has to wait."""
    world.start_all()
    with World(world.folder / "elsewhere", without=world.without) as other:
        other.addresses = world.addresses
        other.start_side("io")
        second = other.link(ACTOR, 77)
        try:
            wait_for("the refusal", lambda: "in use" in second._mailbox.text, 4.0)
        except WireError as error:
            raise Broken(f"the second actor '{ACTOR}' was not refused: {error}") from None
        if second.status is LinkStatus.CONNECTED:
            raise Broken(f"two actors named '{ACTOR}' are connected")
    world.acknowledged_after(time.monotonic())


def another_rate(world: World) -> None:
    """An I/O process whose specification differs ends with the difference, and sends nothing."""
    import dataclasses

    world.start_all()
    spec = dataclasses.replace(world.spec, rate_hz=20.0)
    with World(world.folder / "elsewhere", spec, without=world.without) as other:
        other.addresses = world.addresses
        other.start_side("io")
        link = other.link(ACTOR, 77)
        try:
            code = other.sides["io"].wait(6)
        except subprocess.TimeoutExpired:
            raise Broken("another specification was not refused") from None
        if code != 2 or "rate_hz" not in other.said("io") or "rate_hz" not in link.refusal():
            raise Broken(f"refused without the reason: {code}, {other.said('io')}")


def small_disk() -> str:
    """Whether a file system of a few MiB may be mounted."""
    return "" if os.geteuid() == 0 and os.path.exists("/proc/mounts") else "no right to mount"


def full_disk(which: str) -> Callable[[World], None]:
    """A tmpfs of 512 KiB under the spool or the log fills up, then grows."""

    def inject(world: World) -> None:
        folder = world.folder / ("log" if which == "ingest" else "spool")
        mount(world, folder, "size=8m" if which == "ingest" else "size=512k")
        if which == "ingest":
            fill_later(world, folder)
        else:
            world.start_side("io")
            world.start_side("actor")
            wait_for("a full disk", lambda: free_kib(folder) < 16, 15.0)
            time.sleep(0.5)
            os.system(f"mount -o remount,size=64m {folder}")
            time.sleep(0.3)
            world.kill("io")
            world.start_side("io")
            world.start_side("ingest")
        world.acknowledged_after(time.monotonic(), 10.0)
        world.finish()  # judged while the file system is there
        world.judged = world.judge()

    return inject


def crowded_disk(world: World) -> None:
    """Others fill the spool's file system; acknowledged records make room for the next ones."""
    folder = world.folder / "spool"
    mount(world, folder, "size=1m")
    world.start_all()
    ballast = fill(folder)
    try:
        time.sleep(1.5)
        world.acknowledged_after(time.monotonic(), 8.0)
        world.kill("actor")  # a new life needs a new file
        world.start_side("actor")
        time.sleep(1.5)
    finally:
        ballast.unlink()
    world.acknowledged_after(time.monotonic(), 10.0)
    world.finish()
    world.judged = world.judge()


def mount(world: World, folder: Path, size: str) -> None:
    """A tmpfs of its own for a folder of the run."""
    folder.mkdir(exist_ok=True)
    if os.system(f"mount -t tmpfs -o {size},mode=0700 fault {folder} 2>/dev/null"):
        raise Unable("this machine lets nobody mount a tmpfs")
    world.mounts.append(folder)


def fill(folder: Path) -> Path:
    """Leaves no block free; gives the file that takes them."""
    path = folder / "ballast"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(handle, bytes(4096)):
            continue
    os.close(handle)
    return path


def fill_later(world: World, folder: Path) -> None:
    """The log's file system is filled from outside while records come, and freed again."""
    world.start_all()
    ballast = fill(folder)
    time.sleep(1.0)
    ballast.unlink()


def free_kib(folder: Path) -> int:
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize // 1024


class Unable(Exception):
    """This machine does not allow the fault."""


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
    world.acknowledged_after(0.0, 20.0)
    for jump in ("+1h", "-1h"):
        clock.write_text(f"{jump}\n")
        time.sleep(1.6)
        world.kill("actor")
        world.start_side("actor")
        world.wait_up(world.epochs)
        world.acknowledged_after(time.monotonic(), 4.0)


def driver_raises(world: World) -> None:
    """The actor ends with an error in mid-episode; what it has written arrives."""
    world.start_side("ingest")
    world.start_side("io")
    world.start_side("actor")
    if world.sides["actor"].wait(20) == 0:
        raise Broken("the actor went on without its robot")


def learner_too_slow(world: World) -> None:
    """A learner 100 times slower than the actor: the log never outgrows what it has granted."""
    world.granted = 0
    world.start_side("ingest")
    learner = world.learner()
    learner.grant(20)
    world.start_side("io")
    world.start_side("actor")
    world.acknowledged_after(0.0)
    for granted in range(20, 40):
        learner.grant(granted)
        time.sleep(0.1)
        stats = learner.stats()
        if stats is not None and stats.steps > granted:
            raise Broken(f"{stats.steps} steps in the log, {granted} granted")
    learner.grant(1 << 40)


def power_fails(side: str) -> Callable[[World], None]:
    """A host dies: its processes, its memory, and what its files had beyond the last sync."""

    def inject(world: World) -> None:
        world.start_all()
        time.sleep(0.6)
        if side == "learner":
            world.kill("ingest")
            world.forget_unsynced(world.log_dir)
            world.restart("ingest")
            return
        world.kill("ingest")
        time.sleep(0.3)
        world.kill("actor")
        world.kill("io")
        died = time.monotonic()
        for path in world.runtime.glob(f"{ACTOR}*"):
            path.unlink()
        world.forget_unsynced(world.folder / "spool" / ACTOR)
        world.start_side("ingest")
        world.start_side("io")
        with contextlib.suppress(Broken):  # a spool without a whole chunk says nothing
            world.acknowledged_after(died, 4.0)
        time.sleep(0.5)
        world.require_lost_only_after(died - 0.05 - SYNC_S)

    return inject


SYNC_S = 0.25
"""What a sync of a shared and busy disk may take here, beside the interval of 50 ms."""


ROWS = [
    Row("chunks lost", mangled("lost"), "sequence_gaps_are_refused"),
    Row("chunks doubled", mangled("doubled"), "deduplication"),
    Row("chunks reordered", mangled("reordered"), "sequence_gaps_are_refused"),
    Row("chunks with wrong bits", mangled("corrupt"), "checksums_on_the_wire"),
    Row("chunks with wrong headers", mangled("corrupt header"), "garbage_is_counted", slow=True),
    Row("chunks cut short", mangled("truncated"), "garbage_is_counted", slow=True),
    Row("garbage frames", mangled("garbage"), "garbage_is_counted", slow=True),
    Row("bits flipped in the stream", flipped_bits, "checksums_on_the_wire"),
    Row("partition, delay, cut connections", partitioned, "deduplication", slow=True),
    Row(
        "link down in a network namespace",
        bad_link([]),
        "deduplication",
        needs=no_namespaces,
        slow=True,
    ),
    *(
        Row(
            f"network with {' '.join(trouble)}",
            bad_link(trouble),
            "deduplication",
            needs=no_netem,
            slow=True,
        )
        for trouble in (
            ["loss", "1%"],
            ["loss", "30%"],
            ["delay", "100ms", "50ms"],
            ["delay", "20ms", "reorder", "25%"],
        )
    ),
    Row("stopped and continued", stopped, "deduplication", slow=True),
    Row(
        "NaN and infinity in records",
        run_a_while(1.0),
        "quarantine",
        {"actor": {"poison_every": 7}},
    ),
    Row("two actors with one id", one_name_twice, "one_process_an_id", slow=True),
    Row("another specification", another_rate, "specification_is_compared", slow=True),
    Row(
        "spool on a full disk",
        full_disk("io"),
        "only_whole_appends_count",
        needs=small_disk,
        slow=True,
    ),
    Row("log on a full disk", full_disk("ingest"), "only_whole_appends_count", needs=small_disk),
    Row(
        "spool's disk filled by others",
        crowded_disk,
        "acknowledged_room_is_used_again",
        needs=small_disk,
        slow=True,
    ),
    Row(
        "wall clock jumps an hour",
        clock_jumps,
        "monotonic_watchdogs",
        needs=lambda: "" if FAKETIME.exists() else "libfaketime is not installed",
        slow=True,
    ),
    Row(
        "driver exception in the actor",
        driver_raises,
        "record_in_shared_memory_at_once",
        {"actor": {"fail_at": 150}},
    ),
    Row(
        "learner 100 times slower",
        learner_too_slow,
        "credits_are_enforced",
        {"actor": {"credits": True}},
    ),
    Row(
        "power failure of the learner's host",
        power_fails("learner"),
        "acknowledge_after_sync",
        {"io": {"spool_bytes": 200_000}},
    ),
    Row("power failure of the actor's host", power_fails("actor"), "spool_is_synced", slow=True),
]
