"""A page in a browser as an operator's device: takes over, drags, jogs, judges, pauses, stops.

The page lives in a process of its own (robot_rl/console) and leaves its wishes in a slot that this
reads. A takeover holds the robot until the person drags or jogs; what moves it is obeyed only while
it keeps coming (the deadman), and a page that is gone leaves an old stamp, on which arbitration
holds. Only a hand-back, or another takeover, ends that: the policy never goes on by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robot_rl.geometry import pose_add
from robot_rl.types import Array, CartesianCommand, Context, Event, OperatorSample, RobotState
from robot_rl.wire.wishes import BUTTONS, Wishes, WishReader

DEADMAN_NS = 500_000_000
"""A drag or a held button that has not reported for so long moves nothing any more."""
JOG_STEP, JOG_WIDTH_M = np.array([0.03, 0.03, 0.03, 0.15, 0.15, 0.15]), 0.02
"""How far ahead of the setpoint a full jog puts the goal; the action space bounds it to a step."""


class BrowserOperator:
    """Implements `Operator` by the wishes of a page.

    directory, actor: of the slot, see wire/wishes.py. Whatever was pressed before this was made
    does not count.
    """

    def __init__(
        self,
        directory: Path,
        actor: str,
        action_dim: int,
        *,
        deadman_ns: int = DEADMAN_NS,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._reader = WishReader(directory, actor)
        self._nothing = np.full(action_dim, np.nan, np.float32)
        self._deadman_ns, self._now_ns = deadman_ns, now_ns
        self._lock = threading.Lock()
        born = now_ns()
        self._heard = [born] * len(BUTTONS)
        self._taken, self._released, self._alive = 0, born, 0

    def read(self, context: Context) -> OperatorSample | None:
        """Hands on from a takeover to the hand-back; NaN, which holds, where nothing moves."""
        wishes = self._look()
        events = Event.NONE
        if wishes is not None:
            for index, button in enumerate(BUTTONS):
                held = button is Event.REWIND and wishes.pressed[index] > self._held_since()
                if held or wishes.pressed[index] > self._heard[index]:
                    self._heard[index] = wishes.pressed[index]
                    events |= button
            self._alive = max(self._alive, wishes.alive_ns)
            self._taken = max(self._taken, wishes.taken_ns)
            self._released = max(self._released, wishes.released_ns)
        if self._taken <= self._released:
            return None if events is Event.NONE else OperatorSample(None, self._now_ns(), events)
        state = None if context.step is None else context.step.state
        goal = None if wishes is None or state is None else self._goal(wishes, state)
        return OperatorSample(self._nothing if goal is None else goal, self._alive, events)

    def stopped(self) -> bool:
        wishes, stop = self._look(), BUTTONS.index(Event.STOP)
        return wishes is not None and wishes.pressed[stop] > self._heard[stop]

    def close(self) -> None:
        """Frees the slot; may be called twice."""
        with self._lock:
            self._reader.close()

    def _look(self) -> Wishes | None:
        """The loop's thread and the stop watcher's take turns of some microseconds."""
        with self._lock:
            return self._reader.read()

    def _held_since(self) -> int:
        """What has reported since then is still held."""
        return self._now_ns() - self._deadman_ns

    def _goal(self, wishes: Wishes, state: RobotState) -> CartesianCommand | None:
        """Where a drag or a held button sends the arm; None: nowhere."""
        oldest = self._held_since()
        if wishes.arm >= len(state.setpoint):
            return None
        poses, widths = state.setpoint.copy(), state.gripper_setpoint.copy()
        jogs = wishes.jog_ns > oldest
        if wishes.goal_ns > oldest:
            poses[wishes.arm] = wishes.goal[:7]
        elif jogs:
            _jog(poses[wishes.arm], np.array(wishes.jog[:6]))
        else:
            return None
        if jogs and np.isfinite(wishes.jog[6]):
            widths[wishes.arm] += JOG_WIDTH_M * wishes.jog[6]
        if not np.isfinite(poses).all():
            return None
        return CartesianCommand(poses, widths, state.stamp_ns)


def _jog(pose: Array, twist: Array) -> None:
    """Moves a pose (7,) in place along the base frame's axes."""
    pose[:] = pose_add(pose, np.clip(twist, -1, 1) * JOG_STEP, "base")
