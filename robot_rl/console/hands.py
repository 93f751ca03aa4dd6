"""Who holds the robot among the pages that are open, and what that person asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from robot_rl.types import Event
from robot_rl.wire.wishes import BUTTONS, MOTION, Wishes

NAN = float("nan")


class Hands:
    """One page moves the robot, all may stop and judge; any thread may call.

    hands.opened(page); hands.take(page); hands.drag(page, 0, pose); hands.let_go(page)
    hands.release(page); hands.closed(page)
    writer.write(hands.wishes())          # often: `alive_ns` must stay fresh

    changed: called, in a lock, with the new wishes after each of these.
    """

    def __init__(
        self,
        changed: Callable[[Wishes], None] = lambda _: None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._changed, self._now_ns = changed, now_ns
        self._lock = threading.Lock()
        self._pages: set[int] = set()
        self._holder: int | None = None
        self._wishes = Wishes(alive_ns=now_ns())

    @property
    def holder(self) -> int | None:
        """The page that holds the robot, there or not."""
        return self._holder

    @property
    def pages(self) -> int:
        """How many are open."""
        return len(self._pages)

    def opened(self, page: int) -> None:
        with self._lock:
            self._pages.add(page)

    def closed(self, page: int) -> None:
        """A page that is gone moves nothing; what it held is held still until a hand-back."""
        with self._lock:
            self._pages.discard(page)
            if page == self._holder:
                self._set(goal_ns=0, jog_ns=0)

    def take(self, page: int) -> bool:
        """Takes over; False while another page, that is open, holds the robot."""
        with self._lock:
            if not self._may(page):
                return False
            self._holder = page
            self._set(taken_ns=self._now_ns(), goal_ns=0, jog_ns=0)
        return True

    def release(self, page: int) -> bool:
        """Hands back; False while another page, that is open, holds the robot."""
        with self._lock:
            if not self._may(page):
                return False
            self._holder = None
            self._set(released_ns=self._now_ns(), goal_ns=0, jog_ns=0)
        return True

    def drag(self, page: int, arm: int, pose: Sequence[float]) -> None:
        """A goal (7,) in the arm's base frame; of the holder alone."""
        with self._lock:
            if page == self._holder:
                goal = (*map(float, pose), NAN)
                self._set(goal_ns=self._now_ns(), goal=goal, arm=arm)

    def let_go(self, page: int) -> None:
        """The goal counts no more."""
        with self._lock:
            if page == self._holder:
                self._set(goal_ns=0)

    def jog(self, page: int, arm: int, motion: Sequence[float]) -> None:
        """A button is held: twist (6,) and gripper (NaN: as it is) in [-1, 1]; of the holder."""
        with self._lock:
            if page == self._holder:
                padded = (*motion, *[NAN] * (MOTION - len(motion)))
                self._set(jog_ns=self._now_ns(), jog=padded, arm=arm)

    def press(self, event: Event) -> None:
        """A button of anybody's."""
        with self._lock:
            pressed = list(self._wishes.pressed)
            pressed[BUTTONS.index(event)] = self._now_ns()
            self._set(pressed=tuple(pressed))

    def beat(self) -> None:
        """Says anew that the holder's page is there, if it is."""
        with self._lock:
            self._set()

    def _may(self, page: int) -> bool:
        return self._holder in (None, page) or self._holder not in self._pages

    def _set(self, **changes: object) -> None:
        if self._holder is None or self._holder in self._pages:
            changes["alive_ns"] = self._now_ns()
        self._wishes = replace(self._wishes, **changes)  # type: ignore[arg-type]
        self._changed(self._wishes)
