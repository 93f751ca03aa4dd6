"""One arm's joint setpoint on its way to the goal: clip, speed, acceleration, ends, walls."""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, hypot, inf

from robot_rl.drivers.safety import (
    approach_speed,
    effective_acceleration,
    rotation_between,
    stopping_distance,
)
from robot_rl.errors import RobotFault
from robot_rl.interfaces import Kinematics
from robot_rl.limits import Limits
from robot_rl.types import LimitStage

REST_ANGLE, REST_SPEED = 1e-3, 5e-3
"""rad and rad/s within which a joint rests at its goal."""
SHARES = (1.0, 0.3, 0.1)
"""Of the wanted change of velocity, tried in turn where the whole would not stop inside."""
SLACK = 1e-9
SEEDED = 0.02
"""m, and ten times that in rad, outside the workspace at which an arm may still be started."""


class JointLimiter:
    """Moves a joint setpoint towards a goal, one tick a call, inside every limit.

    Each joint keeps its own speed, acceleration and jerk, and stops before its end. The workspace,
    the orientation and the tool's speed are checked on forward kinematics: a velocity is taken only
    if every tick of braking to rest from it keeps them; otherwise the joints brake, along the very
    way that an earlier tick has checked. So no tick's setpoint is ever outside.
    """

    def __init__(
        self, limits: Limits, kinematics: Kinematics, arm: int, clip: float, dt: float
    ) -> None:
        """clip: how far a setpoint may be from its measured joint, rad."""
        self._limits, self._kinematics, self._arm = limits, kinematics, arm
        self._clip, self._dt = clip, dt
        pairs = zip(limits.joint_acceleration, limits.joint_jerk, strict=True)
        self._acceleration = [effective_acceleration(a, jerk, dt) for a, jerk in pairs]
        self._low = [low + limits.joint_margin for low in limits.joint_low]
        self._high = [high - limits.joint_margin for high in limits.joint_high]
        self._q: list[float] = []
        self._velocity: list[float] = []
        self._pose: Sequence[float] = ()
        self._goal: list[float] | None = None
        self._feed: list[float] = []
        self.stage = LimitStage.NONE

    def seed(self, q: Sequence[float]) -> None:
        """Rests at joint positions (j,); RobotFault when the tool is far outside its workspace."""
        pose = self._kinematics.forward(self._arm, q)
        shift, turn = outside(pose, self._limits)
        if shift > SEEDED or turn > 10 * SEEDED:
            raise RobotFault(
                f"the arm stands {shift:.3f} m and {turn:.3f} rad outside its workspace "
                f"{self._limits.workspace_low} … {self._limits.workspace_high}; move it inside by "
                "hand"
            )
        self._q, self._pose = list(q), pose
        self._velocity = [0.0] * len(self._q)
        self.hold()
        self.stage = LimitStage.NONE

    def follow(self, q: Sequence[float], velocity: Sequence[float] | None = None) -> LimitStage:
        """A goal (j,), which moves on with `velocity` (j,) until `hold`; the stage that cut it."""
        self._goal = self._within(q)
        speeds = self._limits.joint_speed
        self._feed = [0.0] * len(self._q)
        if velocity is not None:
            pairs = zip(velocity, speeds, strict=True)
            self._feed = [min(max(rate, -most), most) for rate, most in pairs]
        self.stage = LimitStage.NONE
        return LimitStage.NONE if self._goal == list(q) else LimitStage.JOINT

    def hold(self) -> None:
        """Drops the goal; the setpoint brakes to rest."""
        self._goal = None

    def resting_at(self, q: Sequence[float], dq: Sequence[float]) -> bool:
        """Whether setpoint and arm rest at the goal."""
        if self._goal is None or self.stage is not LimitStage.NONE:
            return False
        away = max(abs(at - goal) for at, goal in zip(q, self._goal, strict=True))
        return away < REST_ANGLE and max(map(abs, dq)) < REST_SPEED

    def step(self, q: Sequence[float], dq: Sequence[float]) -> tuple[list[float], list[float]]:
        """The next setpoint (j,) and its velocity, given the measured positions and velocities."""
        dt = self._dt
        steps = [dt * most for most in self._acceleration]
        braked = [
            copysign(max(0.0, abs(v) - step), v)
            for v, step in zip(self._velocity, steps, strict=True)
        ]
        chosen = braked
        if self._goal is not None:
            wanted = self._wanted(self._goal, q, dq)
            cut = [
                min(max(w, v - step), v + step)
                for w, v, step in zip(wanted, self._velocity, steps, strict=True)
            ]
            if self.stage is LimitStage.NONE and cut != wanted:
                self.stage = LimitStage.ACCELERATION
            chosen = self._stopping_inside(cut, braked)
        self._velocity = chosen
        self._q = [at + dt * v for at, v in zip(self._q, chosen, strict=True)]
        self._pose = self._kinematics.forward(self._arm, self._q)
        return self._q, chosen

    def _within(self, q: Sequence[float]) -> list[float]:
        rows = zip(q, self._low, self._high, strict=True)
        return [min(max(at, low), high) for at, low, high in rows]

    def _wanted(self, goal: list[float], q: Sequence[float], dq: Sequence[float]) -> list[float]:
        """Velocities towards the goal within speeds and ends, whatever they are at present."""
        dt, clip, stage = self._dt, self._clip, LimitStage.NONE
        if any(self._feed):
            moved = [at + dt * rate for at, rate in zip(goal, self._feed, strict=True)]
            goal = self._goal = self._within(moved)
        wanted = []
        for i, at in enumerate(self._q):
            acceleration, speed = self._acceleration[i], self._limits.joint_speed[i]
            feed = self._feed[i]
            ahead = q[i] + dt * dq[i]
            kept = min(max(goal[i], ahead - clip), ahead + clip)
            error = kept - at - dt * feed
            rate = feed + copysign(approach_speed(abs(error), acceleration, dt), error)
            if abs(rate) > speed:
                rate, stage = copysign(speed, rate), stage or LimitStage.VELOCITY
            up = approach_speed(max(self._high[i] - at, 0.0), acceleration, dt)
            down = approach_speed(max(at - self._low[i], 0.0), acceleration, dt)
            if not -down <= rate <= up:
                rate = min(max(rate, -down), up)
            if abs(goal[i] - at - dt * rate) > 1e-6:
                short = LimitStage.FORCE if kept != goal[i] else LimitStage.ACCELERATION
                stage = stage or short
            wanted.append(rate)
        self.stage = stage
        return self._slowed(wanted)

    def _slowed(self, wanted: list[float]) -> list[float]:
        """All joints slower by one factor where the tool would be too fast."""
        limits, sum_of_speeds = self._limits, sum(map(abs, wanted))
        if self._slow_enough(sum_of_speeds):
            return wanted
        after = self._kinematics.forward(
            self._arm, [at + self._dt * v for at, v in zip(self._q, wanted, strict=True)]
        )
        speed, spin = self._rates(self._pose, after)
        share = min(limits.velocity / (speed + SLACK), limits.angular_velocity / (spin + SLACK))
        if share >= 1.0:
            return wanted
        self.stage = LimitStage.VELOCITY
        return [0.999 * share * v for v in wanted]

    def _stopping_inside(self, wanted: list[float], braked: list[float]) -> list[float]:
        for share in SHARES:
            velocity = [b + share * (w - b) for w, b in zip(wanted, braked, strict=True)]
            if self._keeps_the_workspace(velocity):
                return velocity
            self.stage = LimitStage.WORKSPACE
        return braked

    def _keeps_the_workspace(self, velocity: list[float]) -> bool:
        """Whether each tick from `velocity` to rest keeps box, orientation and the tool's speed.

        From outside (where an arm may have been left) every way that leads no further out will do.
        """
        limits, dt = self._limits, self._dt
        way = sum(
            stopping_distance(abs(v), a, dt)
            for v, a in zip(velocity, self._acceleration, strict=True)
        )
        shift, turn = outside(self._pose, limits)
        near = self._kinematics.reach * way
        if shift < -near and turn < -way and self._slow_enough(sum(map(abs, velocity))):
            return True
        shift, turn = max(shift, 0.0) + SLACK, max(turn, 0.0) + SLACK
        q, before = self._q, self._pose
        while any(velocity):
            q = [at + dt * v for at, v in zip(q, velocity, strict=True)]
            pose = self._kinematics.forward(self._arm, q)
            further, twisted = outside(pose, limits)
            speed, spin = self._rates(before, pose)
            if further > shift or twisted > turn:
                return False
            if speed > limits.velocity + SLACK or spin > limits.angular_velocity + SLACK:
                return False
            before = pose
            velocity = [
                copysign(max(0.0, abs(v) - dt * a), v)
                for v, a in zip(velocity, self._acceleration, strict=True)
            ]
        return True

    def _slow_enough(self, sum_of_speeds: float) -> bool:
        """Whether joints of these speeds, rad/s in all, cannot make the tool too fast."""
        limits = self._limits
        fast = sum_of_speeds * self._kinematics.reach
        return fast <= limits.velocity and sum_of_speeds <= limits.angular_velocity

    def _rates(self, before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
        """Speed (m/s) and turning rate (rad/s) of the tool between two poses a tick apart."""
        shift = hypot(after[0] - before[0], after[1] - before[1], after[2] - before[2])
        turn = hypot(*rotation_between(tuple(before[3:]), tuple(after[3:])))  # type: ignore[arg-type]
        return shift / self._dt, turn / self._dt


def outside(pose: Sequence[float], limits: Limits) -> tuple[float, float]:
    """How far a pose (7,) is outside the box (m) and the orientations (rad); negative inside."""
    over = -inf
    for at, low, high in zip(pose[:3], limits.workspace_low, limits.workspace_high, strict=True):
        over = max(over, low - at, at - high)
    turn = hypot(*rotation_between(limits.orientation, tuple(pose[3:])))  # type: ignore[arg-type]
    return over, turn - limits.max_rotation
