"""A stop is heard whatever the loop does: acting, a driven reset, a wait, a pause."""

from __future__ import annotations

import threading

from robot_rl.interfaces import Operator, RobotEnvironment

POLL_S = 0.005
"""A quarter of the safety layer's tick."""
STOPPED = "emergency stop pressed at the operator's device"


class StopWatcher:
    """A thread that looks at `operator.stopped()` and trips the environment.

    with StopWatcher(operator, environment):
        ...
    """

    def __init__(
        self, operator: Operator, environment: RobotEnvironment, poll_s: float = POLL_S
    ) -> None:
        self._operator, self._environment, self._poll_s = operator, environment, poll_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stop watcher", daemon=True)

    def __enter__(self) -> StopWatcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ending.wait(self._poll_s):
            if self._operator.stopped():
                self._environment.trip(STOPPED)
