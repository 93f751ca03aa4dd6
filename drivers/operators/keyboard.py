"""A terminal as teleoperation device: held keys move the end effector, no key means hands off.

w/s forward and back (x), a/d left and right (y), r/f up and down (z), q/e turn about z,
o/c open and close the gripper, y success, x emergency stop. Terminals report no key release: a
held key repeats, and hands are off once none was seen for `hold_s`.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.types import TeleopSample

AXES = {
    "w": (0, 1.0),
    "s": (0, -1.0),
    "a": (1, 1.0),
    "d": (1, -1.0),
    "r": (2, 1.0),
    "f": (2, -1.0),
    "q": (5, 1.0),
    "e": (5, -1.0),
    "o": (6, 1.0),
    "c": (6, -1.0),
}


class KeyboardTeleop:
    """Reads keys from a terminal without blocking.

    action_dim: length of the agent's action, 7 for one arm (twist, gripper).
    flip: sign of each twist axis, (1, -1, -1) for an end-effector frame that points down.
    """

    def __init__(
        self,
        action_dim: int = 7,
        hold_s: float = 0.15,
        speed: float = 0.5,
        flip: tuple[float, float, float] = (1.0, -1.0, -1.0),
        descriptor: int | None = None,
    ) -> None:
        self._fd = sys.stdin.fileno() if descriptor is None else descriptor
        if not os.isatty(self._fd):
            raise ConfigError("teleop=keyboard needs a terminal: run `robot-rl actor` in one")
        if action_dim != 7:
            raise ConfigError(f"teleop=keyboard drives 7 action dimensions, not {action_dim}")
        self._hold_ns, self._speed = int(hold_s * 1e9), speed
        self._flip = np.array([*flip, *flip, 1.0], np.float32)
        self._saved = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        self._keys: dict[str, int] = {}
        self._gripper = 0.0

    def read(self) -> TeleopSample | None:
        """The keys seen within the last `hold_s`, as one action."""
        now = time.monotonic_ns()
        while select.select([self._fd], [], [], 0.0)[0]:
            for key in os.read(self._fd, 64).decode("ascii", "ignore").lower():
                self._keys[key] = now
        held = {key for key, seen in self._keys.items() if now - seen <= self._hold_ns}
        if "x" in held:
            return TeleopSample(np.zeros(7, np.float32), now, stop=True)
        if not held & (AXES.keys() | {"y"}):
            return None
        action = np.zeros(7, np.float32)
        for key in held & AXES.keys():
            axis, sign = AXES[key]
            if axis == 6:
                self._gripper = sign
            else:
                action[axis] += sign * self._speed
        action *= self._flip
        action[6] = self._gripper
        return TeleopSample(np.clip(action, -1, 1), now, success=True if "y" in held else None)

    def close(self) -> None:
        """Gives the terminal its settings back."""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
