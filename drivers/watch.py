"""What the measured state alone must stop a robot for."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, hypot, inf

from robot_rl.drivers.safety import joint_fault
from robot_rl.limits import Limits
from robot_rl.types import RobotState


class StateWatch:
    """Judges each tick's measured state; remembers only the contact force of each arm.

    The force of a tick is the smaller of this and the last reading, then low-passed: a rigid
    contact peaks for a millisecond (5 kg stopped from 0.2 m/s: 1,000 N in simulation), and what
    must trip is a force that lasts.
    """

    def __init__(self, limits: Sequence[Limits], period_s: float) -> None:
        self._limits = limits
        self._shares = [1.0 - exp(-period_s / arm.force_filter) for arm in limits]
        self.reset()

    def reset(self) -> None:
        self._last = [0.0] * len(self._limits)
        self._forces = [0.0] * len(self._limits)

    def reason(self, state: RobotState) -> str:
        """Why this state must stop the robot; empty when it need not. NaN always does."""
        if state.fault:
            return state.fault
        for arm, (q, dq, pose, wrench) in enumerate(
            zip(
                state.q.tolist(),
                state.dq.tolist(),
                state.pose.tolist(),
                state.wrench.tolist(),
                strict=True,
            )
        ):
            if found := joint_fault(q, dq, self._limits[arm]) or self._reason_of(arm, pose, wrench):
                return found
        return ""

    def _reason_of(self, arm: int, pose: list[float], wrench: list[float]) -> str:
        if not sum(map(abs, pose)) < 1e3:
            return f"measured pose {pose} is not finite"
        force = hypot(*wrench[:3])
        if not force < inf:
            return f"measured wrench {wrench} is not finite"
        lasting = min(force, self._last[arm])
        self._forces[arm] += self._shares[arm] * (lasting - self._forces[arm])
        self._last[arm] = force
        most = self._limits[arm].force_trip
        if self._forces[arm] > most:
            return f"contact force {self._forces[arm]:.1f} N exceeds {most:.1f} N"
        return ""
