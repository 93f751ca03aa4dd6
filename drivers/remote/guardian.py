"""The guardian: a process outside the driver that ends it when it hangs.

A controller's own loop goes on towards its last target while Python hangs; a driver that is gone
leaves the arm to the vendor's stop on lost communication. So a driver whose heartbeat is late is
killed, and nothing else is tried.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from robot_rl.drivers.remote.page import BeatReader

PERIOD_S = 0.005
LATE_SELF_NS = 40_000_000
"""A guardian that was itself away for so long looks once more before it judges."""
LEAVE_S = 5.0
"""Time for a driver that was told to end."""


def overdue(now_ns: int, beat_ns: int, allowed_ns: int) -> bool:
    """Whether the driver's next heartbeat should have been there; before the first it is not."""
    return beat_ns > 0 and now_ns - beat_ns > allowed_ns


class Watch:
    """The guardian's judgement, look by look; pure but for the numbers it is given."""

    def __init__(self, late_self_ns: int = LATE_SELF_NS) -> None:
        self._late_self_ns = late_self_ns
        self._looked_ns = 0

    def hung(self, now_ns: int, beat_ns: int, allowed_ns: int) -> bool:
        """Whether to end the driver now."""
        away = self._looked_ns and now_ns - self._looked_ns > self._late_self_ns
        self._looked_ns = now_ns
        return not away and overdue(now_ns, beat_ns, allowed_ns)


def guard(
    directory: Path,
    command: Sequence[str],
    stopping: Callable[[], bool],
    *,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> int:
    """Runs `command` (a driver) until it ends, hangs, or this process is told to stop.

    Writes why into `directory/verdict`; gives the driver's exit code, 1 after a kill.
    """
    for left in ("page", "ready", "verdict"):  # of a driver before
        (directory / left).unlink(missing_ok=True)
    environment = {**os.environ, "ROBOT_RL_PARENT": str(os.getpid())}
    driver = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
    watch = Watch()
    page = BeatReader(directory / "page")
    while driver.poll() is None:
        if stopping():
            driver.terminate()
            return _leave(directory, driver)
        beat, allowed = page.read()
        now = now_ns()
        if watch.hung(now, beat, allowed):
            driver.kill()
            driver.wait()
            late = (now - beat) / 1e6
            _write(
                directory,
                f"the driver process gave no heartbeat for {late:.0f} ms and was ended; the arm is "
                "left to its own controller's stop",
            )
            return 1
        time.sleep(PERIOD_S)
    if driver.returncode != 0:
        _write(directory, f"the driver process ended with code {driver.returncode}")
    return driver.returncode


def _leave(directory: Path, driver: subprocess.Popen[bytes]) -> int:
    try:
        driver.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.wait()
        _write(directory, f"the driver process did not end within {LEAVE_S:.0f} s and was killed")
        return 1
    return 0


def _write(directory: Path, text: str) -> None:
    aside = directory / "verdict.new"
    aside.write_text(text)
    aside.rename(directory / "verdict")
