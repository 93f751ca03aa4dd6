"""Faults of disks and hosts: no room, no power."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from fault_recorder import Broken, What, notes
from fault_world import ACTOR, World, wait_for

from robot_rl.errors import WireError


class Unable(Exception):
    """This machine does not allow the fault."""


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
            wait_for("a full disk", lambda: free_kib(folder) < 16)
            time.sleep(0.5)
            os.system(f"mount -o remount,size=64m {folder}")
            time.sleep(0.3)
            world.kill("io")
            world.start_side("io")
            world.start_side("ingest")
        world.goes_on()
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
        world.goes_on()
        world.kill("actor")  # a new life needs a new file
        world.start_side("actor")
        time.sleep(1.5)
    finally:
        ballast.unlink()
    world.goes_on()
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


def power_fails(side: str) -> Callable[[World], None]:
    """A host dies: its processes, its memory, and what its files had beyond the last sync."""

    def inject(world: World) -> None:
        world.start_all()
        time.sleep(0.6)
        if side == "learner":
            world.kill("ingest")
            world.forget_unsynced(world.log_dir)
            world.start_side("ingest")
            world.goes_on()
            return
        world.kill("ingest")
        alone = time.monotonic_ns()

        def synced() -> list[int]:
            """When the spool has been synced since ingest is dead, ns."""
            book = notes(world.book("syncs"))
            return [n.at_ns for n in book if n.what is What.SYNCED and n.at_ns > alone]

        with contextlib.suppress(WireError):  # never, in the twin
            wait_for("four syncs", lambda: len(synced()) > 3, world.patience_s)
        world.kill("actor")
        world.kill("io")
        if len(syncs := synced()) < 4:
            raise Broken(f"{len(syncs)} syncs of the spool")
        for path in world.runtime.glob(f"{ACTOR}*"):
            path.unlink()
        world.forget_unsynced(world.folder / "spool" / ACTOR)
        world.start_side("ingest")
        world.start_side("io")
        world.goes_on()
        time.sleep(0.5)
        # The last sync began after the one before had ended, with all that was in the spool then.
        world.require_lost_only_after(syncs[-3] / 1e9)

    return inject
