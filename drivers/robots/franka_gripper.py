"""The Franka hand: a gripper whose calls block, in a thread of its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robot_rl.drivers.robots.franka_sdk import SDK_ERRORS, franky
from robot_rl.errors import RobotFault


@dataclass(slots=True)
class FrankaGripper:
    """The Franka hand, in a thread of its own: its calls block for seconds.

    The newest wanted width wins; `width` is the last that was read.
    """

    address: str
    speed: float
    width: float = 0.0
    fault: str = ""
    _wanted: float | None = None
    _done: float | None = None
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None
    _hand: Any = None

    def open(self) -> None:
        """RobotFault when there is no hand."""
        try:
            self._hand = franky.Gripper(self.address)
            self.width = float(self._hand.width)
        except SDK_ERRORS as error:
            raise RobotFault(
                f"no gripper at {self.address} ({error}); valid: a Franka hand, or "
                "robot.gripper=false"
            ) from error
        self._thread = threading.Thread(target=self._run, name="franka-gripper", daemon=True)
        self._thread.start()

    def want(self, width: float) -> None:
        """Returns at once."""
        with self._wake:
            if self._wanted is None or abs(self._wanted - width) > 1e-4:
                self._wanted = width
                self._wake.notify()

    def close(self) -> None:
        with self._wake:
            self._wanted = float("nan")
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._wanted != self._done, timeout=0.1)
                wanted = self._wanted
            if wanted is not None and np.isnan(wanted):
                return
            try:
                if wanted is not None and wanted != self._done:
                    self._hand.move(wanted, self.speed)
                    self._done = wanted
                self.width = float(self._hand.width)
            except SDK_ERRORS as error:
                self.fault = f"gripper: {error}"
                return
