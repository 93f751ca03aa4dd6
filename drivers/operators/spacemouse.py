"""A SpaceMouse as an operator's device: its deflection moves the end effector, at rest means hands
off.

A puck that is deflected reports all the time. No report for as long as the loop's
`actor.operator_stale_ms` (100 ms), and the loop holds the arm; so does an unplugged one, and one
whose axes stand as still as no hand holds them. What lies in the queue is never the newest: a
thread drains every report.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from robot_rl.drivers.operators.puck import Puck
from robot_rl.errors import ConfigError, suggest
from robot_rl.types import Array, Context, Event, OperatorSample

POLL_S = 0.002
"""A quarter of the period of a wired device."""
SETTLE_NS = 500_000_000
"""A device that is deflected so soon after it was opened is not trusted until it was at rest."""
AGAIN_NS = 1_000_000_000
"""Between two looks for a device that was lost."""
GRIPPER = {"close": -1.0, "open": 1.0}
HELD = {"rewind": Event.REWIND}
"""What lasts as long as the button is down."""
PRESSED = {
    "stop": Event.STOP,
    "success": Event.SUCCESS,
    "failure": Event.FAILURE,
    "discard": Event.DISCARD,
    "undo": Event.UNDO,
    "pause": Event.PAUSE,
    "rearm": Event.REARM,
}
BUTTONS: Mapping[str, str] = MappingProxyType({"LEFT": "close", "RIGHT": "open"})


class SpaceMouseOperator:
    """Implements `Operator`; a thread of its own drains the device.

    action_dim: length of the agent's action, 7 for one arm (twist, gripper).
    path: its device file, such as /dev/hidraw3; None: the only one there is.
    axis_convention: "ros" (x forward, y left, z up), "hid_z_up" (x right, y away, z up), "hid",
    "unity"; flip: sign of each twist axis after it, (1, -1, -1) for an end-effector frame that
    points down.
    deadband: deflection, of 1, that is no motion; beyond it the motion begins at 0. translation
    and rotation: the action at full deflection.
    buttons: what each does: close, open (the gripper), stop, success, failure, discard, undo,
    pause, rearm or rewind; LEFT+RIGHT is both at once, in place of what each does alone.
    stuck_s: axes deflected and still for so long are stuck or drift.
    warn: is told, once, of a device that is lost, back, stuck or not at rest.
    """

    def __init__(
        self,
        action_dim: int = 7,
        path: str | None = None,
        axis_convention: str = "ros",
        flip: tuple[float, float, float] = (1.0, -1.0, -1.0),
        deadband: float = 0.08,
        translation: float = 1.0,
        rotation: float = 0.5,
        buttons: Mapping[str, str] | None = None,
        stuck_s: float = 3.0,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        warn: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
        thread: bool = True,
    ) -> None:
        """Raises ConfigError, see `Puck`. Without `thread` whoever made it calls `drain`."""
        if action_dim != 7:
            raise ConfigError(f"teleop=spacemouse drives 7 action dimensions, not {action_dim}")
        if not 0.0 <= deadband < 1.0:
            raise ConfigError(f"teleop.deadband={deadband}; valid: 0 … below 1")
        self._gain = np.array([*flip, *flip]) * np.repeat([translation, rotation], 3)
        self._deadband, self._stuck_ns = deadband, round(stuck_s * 1e9)
        self._now_ns, self._warn = now_ns, warn
        self._path, self._convention = path, axis_convention
        self._puck = Puck(path, axis_convention, now_ns=now_ns)
        try:
            self._does = _roles(buttons or BUTTONS, self._puck)
        except ConfigError:
            self._puck.close()
            raise
        self._lock = threading.Lock()
        self._events, self._down = Event.NONE, frozenset[str]()
        self._opened_ns = self._looked_ns = self._tried_ns = now_ns()
        self._lost = self._untrusted = self._stuck = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="spacemouse", daemon=True)
        if thread:
            self._thread.start()

    def read(self, context: Context) -> OperatorSample | None:
        """The newest deflection with its stamp, and the buttons pressed since `read`.

        Hands off has the stamp of the last look, while the device answers: it sends nothing at
        rest. A device that is gone keeps its last deflection with the stamp of its last report.
        """
        with self._lock:
            events, self._events = self._events, Event.NONE
            twist, grip = self._twist(), np.nan
            for role in self._roles_down():
                grip = GRIPPER.get(role, grip)
                events |= HELD.get(role, Event.NONE)
            stamp = self._stamp(moving=twist is not None)
        if twist is None and np.isnan(grip):
            return None if not events and not self._lost else OperatorSample(None, stamp, events)
        motion = np.array([*(np.zeros(6) if twist is None else twist), grip], np.float32)
        return OperatorSample(motion, stamp, events)

    def stopped(self) -> bool:
        return bool(self._events & Event.STOP)

    def close(self) -> None:
        """Frees the device; may be called twice."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._puck.close()

    def drain(self) -> None:
        """Takes all that waits, and looks after what is wrong; what the thread does."""
        with self._lock:
            if self._lost and not self._found_again():
                return
            try:
                self._puck.drain(self._report)
            except OSError as error:
                self._lost, self._tried_ns = True, self._now_ns()
                self._warn(f"{error} Where a hand was on it the arm holds; plug it in again")
                return
            self._looked_ns = self._now_ns()
            self._judge()

    def _found_again(self) -> bool:
        """Whether the device is back, looked for once a second."""
        now = self._now_ns()
        if now - self._tried_ns < AGAIN_NS:
            return False
        self._tried_ns = now
        self._puck.close()
        try:
            self._puck = Puck(self._path, self._convention, now_ns=self._now_ns)
        except ConfigError:
            return False
        self._lost, self._opened_ns, self._down = False, now, frozenset()
        self._warn(f"{self._puck.name} is back")
        return True

    def _watch(self) -> None:
        while not self._closing.wait(POLL_S):
            self.drain()

    def _report(self) -> None:
        """After each report: buttons that were pressed and let go in one backlog are seen."""
        down = self._puck.pressed
        if down == self._down:
            return
        before, self._down = set(self._roles_down()), down
        for role in set(self._roles_down()) - before:
            self._events |= PRESSED.get(role, Event.NONE)

    def _roles_down(self) -> list[str]:
        """What the buttons that are down do; a chord stands for those in it."""
        roles, taken = [], set[str]()
        for names, role in self._does:
            if names <= self._down and not names & taken:
                taken |= names
                roles.append(role)
        return roles

    def _twist(self) -> Array | None:
        """(6,) what the deflection asks for; None at rest."""
        axes = self._puck.axes
        beyond = np.maximum(np.abs(axes) - self._deadband, 0.0) / (1.0 - self._deadband)
        if self._untrusted or not beyond.any():
            return None
        return np.clip(np.sign(axes) * beyond * self._gain, -1.0, 1.0)

    def _stamp(self, *, moving: bool) -> int:
        if self._lost:
            return min(self._puck.moved_ns, self._looked_ns)
        if self._stuck:
            return self._puck.still_since_ns
        return self._puck.moved_ns if moving else self._looked_ns

    def _judge(self) -> None:
        """Whether the deflection is a hand's."""
        puck = self._puck
        deflected = np.flatnonzero(np.abs(puck.axes) > self._deadband)
        if not len(deflected):
            self._untrusted = self._stuck = False
            return
        named = ", ".join(f"axis {i} at {puck.axes[i]:+.2f}" for i in deflected)
        if puck.moved_ns - self._opened_ns < SETTLE_NS and not self._untrusted:
            self._untrusted = True
            self._warn(f"{puck.name} is not at rest ({named}): ignored until it is let go")
        still = puck.moved_ns - puck.still_since_ns > self._stuck_ns
        if still and not self._stuck and not self._untrusted:
            self._warn(f"{puck.name} is stuck or drifts ({named}): let it go, or unplug it")
        self._stuck = still


def _roles(buttons: Mapping[str, str], puck: Puck) -> list[tuple[frozenset[str], str]]:
    """Which buttons together do what, chords first; ConfigError on names that are not valid."""
    known = (*GRIPPER, *PRESSED, *HELD)
    found = []
    for keys, role in buttons.items():
        names = frozenset(keys.split("+"))
        for name in names - set(puck.buttons):
            raise ConfigError(
                f"teleop.buttons: {puck.name} has no {name}; {suggest(name, puck.buttons)}"
            )
        if role not in known:
            raise ConfigError(f"teleop.buttons.{keys}: '{role}'; {suggest(role, known)}")
        found.append((names, role))
    return sorted(found, key=lambda one: -len(one[0]))
