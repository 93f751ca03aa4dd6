"""A robot's latched fault, and the flag by which any thread stops it."""

from __future__ import annotations

from collections import deque


class FaultLatch:
    """One reason why a robot holds, kept until a person re-arms.

    latch.trip("emergency stop")            # any thread
    if latch.obey(): hold()                 # the robot's own thread, each tick, command and move

    `trip` appends to a queue, which is atomic and takes no lock: the tick never waits for the
    thread that stops it. Everything else is called by the robot's own thread.
    """

    def __init__(self) -> None:
        self._asked: deque[str] = deque()
        self.reason = ""
        """Why the robot holds; empty while none is latched."""
        self.by_person = False
        """Whether a stop from outside is among the causes; such a fault no reset clears."""

    def trip(self, reason: str) -> None:
        """Any thread: asks for a stop, which the next `obey` latches."""
        self._asked.append(reason or "stopped")

    @property
    def shown(self) -> str:
        """The latched reason, or that of a stop that is not obeyed yet; empty if there is none."""
        if self.reason:
            return self.reason
        try:
            return self._asked[0]
        except IndexError:
            return ""

    def latch(self, reason: str, *, by_person: bool = False) -> None:
        """Latches a fault; of several reasons the first stays, and a person's first stop."""
        if not self.reason:
            self.reason = reason
        elif by_person and not self.by_person:
            self.reason += f"; {reason}"
        self.by_person |= by_person

    def obey(self) -> bool:
        """Latches the stops that were asked for; whether there was one."""
        count = len(self._asked)
        for _ in range(count):
            self.latch(self._asked.popleft(), by_person=True)
        return count > 0

    def forgive(self) -> None:
        """Clears a fault that no stop from outside is part of."""
        if not self.by_person:
            self.reason = ""

    def clear(self) -> None:
        """Re-arms: forgets what was asked until now. A stop asked meanwhile stays."""
        self.obey()
        self.reason, self.by_person = "", False
