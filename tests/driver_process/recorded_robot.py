"""The simulated FR3, with an independent recorder at the driver's edge: below the safety layer and
at its entrance, in the robot's own time. And a device that hangs when a file appears."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from robot_rl.drivers.mujoco.fr3 import make as make_fr3
from robot_rl.interfaces import Bundle
from robot_rl.types import Command, RobotState

MS = 1_000_000


class Recorder:
    """Everything of a robot, with a line for each goal, setpoint and stop."""

    def __init__(self, inner: Any, path: Path, name: str, hang: Path) -> None:
        self._inner, self._name, self._hang = inner, name, hang
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _note(self, what: str, *values: float) -> None:
        words = [what, str(self._inner.clock.now_ns() // MS), *map(repr, values)]
        os.write(self._file, (" ".join(words) + "\n").encode())

    def read(self) -> RobotState:
        if self._hang.exists():
            self._note("hang")
            time.sleep(600.0)  # as an SDK's call that never returns
        state: RobotState = self._inner.read()
        return state

    def command(self, command: Command) -> None:
        self._inner.command(command)
        self._note(self._name, *map(float, command.pose[0, :3]))  # type: ignore[union-attr]

    def stop(self) -> None:
        self._note(f"{self._name}-stop")
        self._inner.stop()


def make(*, record: str, real_time: bool = True) -> Bundle:
    """`record`: the file of the recorder; `<record>.hang` makes the device hang."""
    bundle = make_fr3(real_time=real_time, teleport_resets=False)
    safe, hang = bundle.robot, Path(f"{record}.hang")
    safe._inner = Recorder(safe._inner, Path(record), "set", hang)  # type: ignore[attr-defined]
    return Bundle(Recorder(safe, Path(record), "goal", Path("/nonexistent")), bundle.world)  # type: ignore[arg-type]
