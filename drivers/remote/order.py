"""The rules of order of a driver: what may be asked when. Pure; the driver process obeys it.

READY -connect-> HOLDING -first goal, if near-> FOLLOWING
HOLDING, FOLLOWING -move_to-> MOVING -> HOLDING;  -stop-> HOLDING
any but READY -fault-> FAULT -rearm-> HOLDING;    any -close-> READY, as often as it is asked
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.drivers.remote.page import Phase
from robot_rl.errors import RobotFault, SafetyError
from robot_rl.geometry import pose_difference
from robot_rl.types import CartesianCommand, Command, RobotState


@dataclass(slots=True)
class Order:
    """Where a driver is in the order, and whether a goal may be followed."""

    first_goal: float
    """m (and rad) that a first goal may be away from the setpoint; 0: as far as the limits allow,
    approached at their speed."""
    first_turn: float
    """rad, also for joints."""
    phase: Phase = Phase.READY
    fault: str = ""

    def connect(self) -> None:
        if self.phase is not Phase.READY:
            raise RobotFault(f"the robot is connected already ({self.phase.name}); close() first")

    def connected(self) -> None:
        self.phase, self.fault = Phase.HOLDING, ""

    def require_ready(self, what: str) -> None:
        """RobotFault unless something may move now."""
        if self.phase is Phase.READY:
            raise RobotFault(f"{what} before connect(); the robot is not connected")
        if self.phase is Phase.FAULT:
            raise RobotFault(f"{self.fault}; a person re-arms")
        if self.phase is Phase.MOVING:
            raise RobotFault(f"{what} while move_to is under way; it ends first, or is tripped")

    def accept(self, command: Command, state: RobotState) -> None:
        """Lets a command through; SafetyError for a first goal too far from the setpoint."""
        self.require_ready("command()")
        if self.phase is Phase.HOLDING and self.first_goal > 0.0:
            self._check_first(command, state)
        self.phase = Phase.FOLLOWING

    def move(self) -> None:
        self.require_ready("move_to()")
        self.phase = Phase.MOVING

    def rested(self) -> None:
        """A move has ended, or `stop` was called."""
        if self.phase in (Phase.MOVING, Phase.FOLLOWING):
            self.phase = Phase.HOLDING

    def failed(self, fault: str) -> None:
        """A fault was latched; the first one stays."""
        if self.phase not in (Phase.READY, Phase.FAULT):
            self.phase, self.fault = Phase.FAULT, fault

    def rearmed(self) -> None:
        if self.phase is Phase.FAULT:
            self.phase, self.fault = Phase.HOLDING, ""

    def closed(self) -> None:
        self.phase, self.fault = Phase.READY, ""

    def _check_first(self, command: Command, state: RobotState) -> None:
        if isinstance(command, CartesianCommand):
            away = pose_difference(state.setpoint, command.pose, "base")
            distance = float(np.linalg.norm(away[:, :3], axis=1).max())
            turn = float(np.linalg.norm(away[:, 3:], axis=1).max())
        else:
            present = state.q if state.joint_setpoint is None else state.joint_setpoint
            distance, turn = 0.0, float(np.abs(command.q - present).max())
        if distance > self.first_goal or turn > self.first_turn:
            raise SafetyError(
                f"the first goal is {distance:.3f} m and {turn:.3f} rad away from where the arm "
                f"holds; valid: {self.first_goal} m, {self.first_turn} rad (move_to drives further)"
            )
