"""The way an arm came, and back along it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from robot_rl.types import Array, Command


@dataclass(slots=True)
class Path:
    """Setpoints of an episode, one a step; `back` gives the one before the last.

    path.note(environment.setpoint())            # each step that goes on
    goal = path.back(gripper)                    # each step that goes back
    """

    _goals: list[Command] = field(default_factory=list)

    def clear(self) -> None:
        self._goals.clear()

    def note(self, setpoint: Command | None) -> None:
        """Keeps where the robot is sent now; None where there is no robot."""
        if setpoint is not None:
            self._goals.append(setpoint)

    def back(self, gripper: Array) -> Command | None:
        """Where it was sent a step earlier, with the grippers as they are now: an object in the
        hand is not dropped on the way. None at the start."""
        if not self._goals:
            return None
        return replace(self._goals.pop(), gripper=gripper)
