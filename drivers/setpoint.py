"""One arm's setpoint on its way to the goal: clip, velocity, acceleration, jerk, walls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, hypot, pi

from robot_rl.drivers.safety import (
    ZERO,
    Quaternion,
    Vector3,
    brake,
    clamp_orientation,
    clamp_position,
    clamp_towards,
    effective_acceleration,
    limit_velocity,
    rotate,
    rotation_between,
    scale,
    stops_in_box,
    stops_in_orientation,
)
from robot_rl.errors import RobotFault
from robot_rl.limits import Limits
from robot_rl.types import LimitStage

REST_POSITION, REST_ANGLE = 2e-3, 2e-2
"""How near to its goal an arm rests (m, rad): stiction and contact leave this much."""
SAME = 1.0 - 1e-13
"""Cosine of half an angle below 1e-6 rad."""
REST_SPEED = 5e-3
"""m/s and rad/s below which an arm rests."""


class SetpointLimiter:
    """Moves a setpoint towards a goal, one tick a call, inside every limit.

    The clip: the setpoint stays within the controller's clip of where the measured pose will be
    at the next tick, so a blocked arm's setpoint stops at measured + clip. It bounds the goal, in
    front of the limiter, so that the emitted setpoint keeps its acceleration limit even then.
    Walls: a velocity is taken only if braking straight ahead from it ends inside the workspace;
    otherwise the setpoint brakes straight ahead, which the tick before has made sure is inside.
    """

    def __init__(self, limits: Limits, gains: Mapping[str, float], dt: float) -> None:
        self._limits = limits
        self._dt = dt
        self._acceleration = effective_acceleration(limits.acceleration, limits.jerk, dt)
        self._angular = effective_acceleration(limits.angular_acceleration, limits.angular_jerk, dt)
        self._jerk_binds = self._acceleration < limits.acceleration
        self._clip = gains.get("translational_clip", float("inf"))
        self._angular_clip = gains.get("rotational_clip", float("inf"))
        self._aligned = cos(min(self._angular_clip, pi) / 2)
        self._position: Vector3 = ZERO
        self._quat: Quaternion = (1.0, 0.0, 0.0, 0.0)
        self._velocity: Vector3 = ZERO
        self._spin: Vector3 = ZERO
        self._goal: tuple[Vector3, Quaternion] | None = None
        self._feed = self._feed_spin = ZERO
        self._clear: Sequence[float] = (*ZERO, *self._quat)
        self.stage = LimitStage.NONE

    def seed(self, pose: Sequence[float]) -> None:
        """Rests at a pose (7,); RobotFault when it is outside the limits by more than the clip."""
        x, y, z, qw, qx, qy, qz = pose
        self._position, self._quat = (x, y, z), (qw, qx, qy, qz)
        inside = clamp_position(self._position, self._limits)
        shift = hypot(x - inside[0], y - inside[1], z - inside[2])
        turn = hypot(*rotation_between(self._quat, clamp_orientation(self._quat, self._limits)))
        if shift > min(self._clip, 0.02) or turn > min(self._angular_clip, 0.2):
            raise RobotFault(
                f"the arm stands at ({x:.3f}, {y:.3f}, {z:.3f}), {shift:.3f} m and {turn:.3f} rad "
                f"outside its workspace {self._limits.workspace_low} … "
                f"{self._limits.workspace_high}; move it inside by hand"
            )
        self._velocity = self._spin = ZERO
        self._goal = None
        self._clear = pose
        self.stage = LimitStage.NONE

    def follow(
        self, position: Vector3, quat: Quaternion, twist: Sequence[float] | None = None
    ) -> None:
        """A goal inside the workspace, which moves on with `twist` (6,) until `hold`."""
        self._goal = (position, quat)
        self._feed = self._feed_spin = ZERO
        if twist is not None:
            vx, vy, vz, wx, wy, wz = twist
            self._feed = clamp_towards((vx, vy, vz), self._limits.velocity)
            self._feed_spin = clamp_towards((wx, wy, wz), self._limits.angular_velocity)
        self.stage = LimitStage.NONE

    def hold(self) -> None:
        """Drops the goal; the setpoint brakes to rest."""
        self._goal = None

    def resting_at(self, measured: Sequence[float], twist: Sequence[float]) -> bool:
        """Whether setpoint and arm rest at the goal."""
        if self._goal is None or self.stage is not LimitStage.NONE:
            return False
        (x, y, z), quat = self._goal
        qw, qx, qy, qz = measured[3:]
        return (
            hypot(measured[0] - x, measured[1] - y, measured[2] - z) < REST_POSITION
            and hypot(*rotation_between((qw, qx, qy, qz), quat)) < REST_ANGLE
            and max(map(abs, twist)) < REST_SPEED
        )

    def step(
        self, measured: Sequence[float], twist: Sequence[float], headroom: float
    ) -> list[float]:
        """The next setpoint (7,), given the measured pose (7,) and twist (6,), base frame.

        headroom: share of the speed limits the joints permit; negative turns back to where the
        joints were last clear of their ends.
        """
        goal, feed, feed_spin = self._goal, self._feed, self._feed_spin
        if goal is not None and (feed != ZERO or feed_spin != ZERO):
            goal = self._goal = self._moved(goal)
        if headroom >= 0.0:
            self._clear = measured
        elif goal is not None:
            x, y, z, qw, qx, qy, qz = self._clear
            goal = (
                clamp_position((x, y, z), self._limits),
                clamp_orientation((qw, qx, qy, qz), self._limits),
            )
            feed = feed_spin = ZERO
        if goal is None:
            velocity = brake(self._velocity, self._acceleration, self._dt)
            spin = brake(self._spin, self._angular, self._dt)
        else:
            share = headroom if headroom >= 0.0 else 1.0
            velocity = self._next_velocity(goal[0], feed, measured, twist, share)
            spin = self._next_spin(goal[1], feed_spin, measured, twist, share)
            if headroom < 0.0:
                self.stage = LimitStage.JOINT
        dt = self._dt
        x, y, z = self._position
        self._position = (x + dt * velocity[0], y + dt * velocity[1], z + dt * velocity[2])
        if spin != ZERO:
            self._quat = rotate(self._quat, scale(spin, dt))
        self._velocity, self._spin = velocity, spin
        return [*self._position, *self._quat]

    def _moved(self, goal: tuple[Vector3, Quaternion]) -> tuple[Vector3, Quaternion]:
        """The goal a tick later, moved by its own velocity and held inside the workspace."""
        (x, y, z), (vx, vy, vz), dt = goal[0], self._feed, self._dt
        position = clamp_position((x + dt * vx, y + dt * vy, z + dt * vz), self._limits)
        quat = rotate(goal[1], scale(self._feed_spin, dt))
        return position, clamp_orientation(quat, self._limits)

    def _next_velocity(
        self,
        goal: Vector3,
        feed: Vector3,
        measured: Sequence[float],
        twist: Sequence[float],
        share: float,
    ) -> Vector3:
        limits, dt, reach = self._limits, self._dt, self._clip
        at = self._position
        clipped = []
        for i in range(3):
            ahead = measured[i] + dt * twist[i]
            clipped.append(min(max(goal[i], ahead - reach), ahead + reach) - at[i])
        error = (clipped[0], clipped[1], clipped[2])
        velocity, stage = limit_velocity(
            _ahead(error, feed, dt),
            self._velocity,
            share * limits.velocity,
            self._acceleration,
            dt,
            feed,
        )
        if not stops_in_box(at, velocity, self._acceleration, dt, limits):
            velocity, stage = brake(self._velocity, self._acceleration, dt), LimitStage.WORKSPACE
        left = max(abs(goal[i] - at[i] - dt * velocity[i]) for i in range(3))
        bound = max(abs(goal[i] - at[i] - error[i]) for i in range(3)) > 1e-9
        self._note(stage, left, bound, first=True)
        return velocity

    def _next_spin(
        self,
        goal: Quaternion,
        feed: Vector3,
        measured: Sequence[float],
        twist: Sequence[float],
        share: float,
    ) -> Vector3:
        limits, dt = self._limits, self._dt
        qw, qx, qy, qz = measured[3:]
        if (
            self._spin == ZERO
            and feed == ZERO
            and _cosine(goal, self._quat) > SAME
            and _cosine(goal, (qw, qx, qy, qz)) > self._aligned
        ):
            return ZERO  # nothing to turn: the usual case, at a tenth of the cost
        ahead = rotate((qw, qx, qy, qz), (dt * twist[3], dt * twist[4], dt * twist[5]))
        lag = rotation_between(ahead, goal)
        kept = clamp_towards(lag, self._angular_clip)
        bound = kept is not lag
        error = rotation_between(self._quat, rotate(ahead, kept) if bound else goal)
        spin, stage = limit_velocity(
            _ahead(error, feed, dt),
            self._spin,
            share * limits.angular_velocity,
            self._angular,
            dt,
            feed,
        )
        if not stops_in_orientation(self._quat, spin, self._angular, dt, limits):
            spin, stage = brake(self._spin, self._angular, dt), LimitStage.WORKSPACE
        left = max(abs(error[i] - dt * spin[i]) for i in range(3))
        self._note(stage, left, bound, first=False)
        return spin

    def _note(self, stage: LimitStage, left: float, bound: bool, *, first: bool) -> None:
        """Keeps the stage while the goal is not reached: `left` is what remains after this tick."""
        if left <= 1e-6 and not bound:
            found = LimitStage.NONE
        elif bound and stage in (LimitStage.NONE, LimitStage.ACCELERATION):
            found = LimitStage.FORCE
        elif stage is LimitStage.ACCELERATION and self._jerk_binds:
            found = LimitStage.JERK
        else:
            found = stage
        if first or found is not LimitStage.NONE:
            self.stage = found if first or self.stage is LimitStage.NONE else self.stage


def _ahead(error: Vector3, feed: Vector3, dt: float) -> Vector3:
    """What remains of the way to a moving goal besides what its own velocity covers."""
    if feed == ZERO:
        return error
    return (error[0] - dt * feed[0], error[1] - dt * feed[1], error[2] - dt * feed[2])


def _cosine(a: Quaternion, b: Quaternion) -> float:
    """Cosine of half the angle between two orientations."""
    return abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3])
