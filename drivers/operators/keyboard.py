"""A terminal as an operator's device: held keys move the end effector, no key means hands off.

w/s forward and back (x), a/d left and right (y), r/f up and down (z), q/e turn about z, o/c open
and close the gripper; b back along the way it came; y success, n failure, u discard the episode;
x emergency stop, m re-arm, p pause and go on, z undo the episode kept last. Terminals report no key
release: a held key repeats, and hands are off once none was seen for `hold_s`.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from contextlib import suppress

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.types import Context, Event, OperatorSample

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
EVENTS = {
    "y": Event.SUCCESS,
    "n": Event.FAILURE,
    "u": Event.DISCARD,
    "x": Event.STOP,
    "m": Event.REARM,
    "p": Event.PAUSE,
    "z": Event.UNDO,
}
REWIND = "b"
POLL_S = 0.01


class KeyboardOperator:
    """Implements `Operator`; a thread of its own reads the terminal.

    action_dim: length of the agent's action, 7 for one arm (twist, gripper).
    flip: sign of each twist axis, (1, -1, -1) for an end-effector frame that points down.
    Nothing but o and c moves the gripper: its value is NaN, which keeps the width. A terminal that
    is gone leaves the last keys with the stamp of the last look at it.
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
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._events = Event.NONE
        self._looked_ns = time.monotonic_ns()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keyboard", daemon=True)
        self._thread.start()

    def read(self, context: Context) -> OperatorSample | None:
        """The keys held at the last look, as one action, and the buttons pressed since `read`."""
        with self._lock:
            looked, events = self._looked_ns, self._events
            self._events = Event.NONE
            held = {key for key, seen in self._seen.items() if looked - seen <= self._hold_ns}
        if REWIND in held:
            events |= Event.REWIND
        moving = held & AXES.keys()
        if not moving and not events:
            return None
        if not moving:
            return OperatorSample(None, looked, events)
        action = np.zeros(7, np.float32)
        action[6] = np.nan
        for key in moving:
            axis, sign = AXES[key]
            if axis == 6:
                action[6] = sign
            else:
                action[axis] += sign * self._speed
        return OperatorSample(np.clip(action * self._flip, -1, 1), looked, events)

    def stopped(self) -> bool:
        return bool(self._events & Event.STOP)

    def close(self) -> None:
        """Gives the terminal its settings back; may be called twice."""
        self._closing.set()
        self._thread.join()
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)

    def _watch(self) -> None:
        while not self._closing.is_set():
            try:
                ready = select.select([self._fd], [], [], POLL_S)[0]
                keys = os.read(self._fd, 64) if ready else b""
            except OSError:  # the terminal is gone
                return
            if ready and not keys:  # its end
                return
            now = time.monotonic_ns()
            with self._lock:
                self._looked_ns = now
                for key in keys.decode("ascii", "ignore").lower():
                    self._seen[key] = now
                    self._events |= EVENTS.get(key, Event.NONE)
