"""What the measured state alone must stop a robot for."""

from __future__ import annotations

from math import exp, hypot, inf

from robot_rl.drivers.limits import Limits
from robot_rl.drivers.safety import joint_fault
from robot_rl.types import RobotState


class StateWatch:
    """Judges each tick's measured state; remembers only the contact force.

    The force of a tick is the smaller of this and the last reading, then low-passed: a rigid
    contact peaks for a millisecond (5 kg stopped from 0.2 m/s: 1,000 N in simulation), and what
    must trip is a force that lasts.
    """

    def __init__(self, limits: Limits, period_s: float) -> None:
        self._limits = limits
        self._share = 1.0 - exp(-period_s / limits.force_filter)
        self._last = 0.0
        self.force = 0.0
        """Largest contact force of an arm after the low-pass, N."""

    def reset(self) -> None:
        self._last = self.force = 0.0

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
        if not force < inf:
            return f"measured wrench {state.wrench.tolist()} is not finite"
        self.force += self._share * (min(force, self._last) - self.force)
        self._last = force
        if self.force > self._limits.force_trip:
            return f"contact force {self.force:.1f} N exceeds {self._limits.force_trip:.1f} N"
        return ""
