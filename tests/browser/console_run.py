"""A robot-rl command with console=web in a process of its own, and looks at it from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from robot_rl.wire.latest import LatestReader
from robot_rl.wire.latest_layout import Latest
from robot_rl.wire.wishes import Wishes, WishReader

PATIENCE_S = 60.0
Value = TypeVar("Value")


def until(what: str, look: Callable[[], Value | None], patience_s: float = PATIENCE_S) -> Value:
    """The first true value of `look`; AssertionError naming `what` if there is none."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := look():
            return value
        time.sleep(0.005)
    raise AssertionError(f"not seen: {what}")


class ConsoleRun:
    """`robot-rl <words>`; `address` once its console is there."""

    def __init__(self, words: Sequence[str], log: Path, actor: str) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "robot_rl.cli", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.address = until("the console's address", self._address)
        runtime = until("its runtime directory", lambda: self._runtime(actor))
        self.runtime = runtime
        self._latest, self._wishes = LatestReader(runtime, actor), WishReader(runtime, actor)

    @property
    def origin(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]

    def latest(self) -> Latest:
        return until("a moment", self._latest.read)

    def wishes(self) -> Wishes:
        return until("wishes", self._wishes.read)

    def when(self, what: str, true: Callable[[Latest], bool]) -> Latest:
        """The first moment of which something is true."""

        def look() -> Latest | None:
            latest = self.latest()
            return latest if true(latest) else None

        return until(what, look)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE_S)

    def _address(self) -> str | None:
        text = self.log.read_text(errors="replace")
        assert self.process.poll() is None, text
        found = re.search(r"console.*: (http://\S+token=\S+)", text)
        return found and found[1]

    def _runtime(self, actor: str) -> Path | None:
        """Found by the address: several runs may be under way."""
        root = Path(f"/dev/shm/robot-rl-{os.getuid()}")
        for path in root.glob(f"*/{actor}.url"):
            if path.read_text() == self.address:
                return path.parent
        return None


def body(driver: Any) -> str:
    """The page's text."""
    return str(driver.find_element("tag name", "body").text)


def button(driver: Any, label: str) -> Any:
    """A button of the page, once it is there."""

    def look() -> Any:
        found = driver.find_elements("xpath", f"//button[normalize-space()='{label}']")
        return found[0] if found else None

    return until(f"button {label}", look)


def click(driver: Any, label: str) -> None:
    button(driver, label).click()


def hands_on(latest: Latest) -> bool:
    return latest.action is not None and latest.action.human is not None


def grab(driver: Any, run: ConsoleRun) -> None:
    """Presses the mouse on the gizmo, which the first look has in the middle of the canvas, and
    drags it; leaves the mouse pressed."""
    from selenium.webdriver import ActionChains

    canvas = max(driver.find_elements("tag name", "canvas"), key=lambda it: it.size["width"])
    for below in HANDLES:
        pull = ActionChains(driver, duration=30).move_to_element_with_offset(canvas, 0, below)
        pull.click_and_hold().move_by_offset(4, 12).move_by_offset(4, 12).perform()
        time.sleep(0.2)
        if run.wishes().goal_ns:
            return
        ActionChains(driver).release().perform()
    raise AssertionError("no handle of the gizmo was found")


HANDLES = (40, 30, 50, 20, 60)
"""Pixels below the gizmo's middle: its z axis points down there."""
