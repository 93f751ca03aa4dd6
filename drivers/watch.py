"""What the measured state alone must stop a robot for."""

from __future__ import annotations

from math import exp, hypot

from drivers.limits import Limits
from drivers.safety import joint_fault
from robot_rl.types import RobotState


class StateWatch:
    """Judges each tick's measured state; remembers only the filtered contact force."""

    def __init__(self, limits: Limits, period_s: float) -> None:
        self._limits = limits
        self._share = 1.0 - exp(-period_s / limits.force_filter)
        self.force = 0.0
        """Largest contact force of an arm after the low-pass, N."""

    def reset(self) -> None:
        self.force = 0.0

    def reason(self, state: RobotState) -> str:
        """Why this state must stop the robot; empty when it need not. NaN always does."""
        if state.fault:
            return state.fault
        for q, dq in zip(state.q.tolist(), state.dq.tolist(), strict=True):
            if found := joint_fault(q, dq, self._limits):
                return found
        for pose in state.pose.tolist():
            if not sum(map(abs, pose)) < 1e3:
                return f"measured pose {pose} is not finite"
        force = max(hypot(*wrench[:3]) for wrench in state.wrench.tolist())
        self.force += self._share * (force - self.force)
        if not self.force <= self._limits.force_trip:
            return f"contact force {self.force:.1f} N exceeds {self._limits.force_trip:.1f} N"
        return ""
