"""Pure functions of the safety layer, in the order in which SafeRobot applies them.

Scalars and tuples on purpose: a tick of one arm costs microseconds, which arrays of three do not.
`robot_rl.testing.motion.violations` is the vectorised judge of what they emit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import atan2, cos, hypot, isfinite, sin, sqrt

from robot_rl.errors import PoisonedDataError, SafetyError, SpecError
from robot_rl.limits import Limits
from robot_rl.types import Array, CartesianCommand, Command, LimitStage

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
ZERO: Vector3 = (0.0, 0.0, 0.0)
JOINT_OUTLOOK = 0.1
"""How far ahead joints are watched, s: about the lag of the arm behind its setpoint."""


def check_poses(pose: Array, arms: int, where: str) -> None:
    """Stage 1: SpecError on a wrong shape or no unit quaternion, PoisonedDataError on NaN."""
    if pose.shape != (arms, 7):
        raise SpecError(f"{where}: poses of shape {pose.shape}; valid: ({arms}, 7)")
    for row in pose.tolist():
        if not isfinite(sum(row)):  # NaN and infinities do not cancel out
            raise PoisonedDataError(f"{where}: pose {row}; valid: finite")
        if abs(hypot(*row[3:]) - 1.0) > 1e-3:
            raise SpecError(f"{where}: quaternion {row[3:]}; valid: unit length (w, x, y, z)")


def check_command(command: Command, arms: int, joints: int = 0) -> Command:
    """Stage 1 for a whole command: shapes, unit quaternions, no NaN or infinity.

    joints: of each arm, where joint commands are valid.
    """
    if isinstance(command, CartesianCommand):
        check_poses(command.pose, arms, "command")
        width = 6
    elif joints:
        _check_numbers(command.q, (arms, joints), "q")
        width = joints
    else:
        raise SpecError("a joint command; valid here: CartesianCommand")
    _check_numbers(command.gripper, (arms,), "gripper")
    if command.velocity is not None:
        _check_numbers(command.velocity, (arms, width), "velocity")
    return command


def _check_numbers(array: Array, shape: tuple[int, ...], name: str) -> None:
    if array.shape != shape:
        raise SpecError(f"command: {name} of shape {array.shape}; valid: {shape}")
    if not isfinite(sum(array.ravel().tolist())):
        raise PoisonedDataError(f"command: {name} {array.tolist()}; valid: finite")


def check_force_bound(gains: Mapping[str, float], limits: Limits) -> None:
    """Refuses a controller that could push with more than the declared force (K x clip)."""
    force = gains["translational_stiffness"] * gains["translational_clip"]
    if force > limits.max_force * (1.0 + 1e-9):
        raise SafetyError(
            f"translational_stiffness x translational_clip = {force:.4g} N exceeds "
            f"max_force = {limits.max_force:.4g} N; lower one of the gains or declare the force"
        )


def joint_fault(q: Sequence[float], dq: Sequence[float], limits: Limits) -> str:
    """Which measured joint is beyond its range or trip velocity; empty when none is."""
    for i, (at, rate) in enumerate(zip(q, dq, strict=True)):
        if not limits.joint_low[i] <= at <= limits.joint_high[i]:
            return f"joint {i + 1} at {at:.3f} rad is beyond its range"
        if not abs(rate) <= limits.joint_velocity_trip[i]:
            return f"joint {i + 1} turns at {rate:.2f} rad/s, faster than its limit"
    return ""


def joint_headroom(q: Sequence[float], dq: Sequence[float], limits: Limits) -> float:
    """Share of the end effector's speed limits that the joints permit, in [0, 1].

    Falls from 1 at 80 % of a joint's velocity limit to 0 at the limit; negative when a joint is,
    or within JOINT_OUTLOOK at its present velocity will be, nearer to its end than the margin.
    """
    margin, share = limits.joint_margin, 1.0
    for at, rate, low, high, fastest in zip(
        q, dq, limits.joint_low, limits.joint_high, limits.joint_velocity, strict=True
    ):
        if not low + margin <= at + JOINT_OUTLOOK * rate <= high - margin:
            return -1.0
        left = 5.0 * (1.0 - abs(rate) / fastest)
        if left < share:
            share = left
    return max(share, 0.0)


def clamp_position(position: Vector3, limits: Limits) -> Vector3:
    """The nearest point of the workspace box."""
    (lx, ly, lz), (hx, hy, hz) = limits.workspace_low, limits.workspace_high
    x, y, z = position
    return (min(max(x, lx), hx), min(max(y, ly), hy), min(max(z, lz), hz))


def clamp_orientation(quat: Quaternion, limits: Limits) -> Quaternion:
    """The nearest orientation within `max_rotation` of the permitted centre."""
    centre: Quaternion = limits.orientation  # type: ignore[assignment]
    turn = rotation_between(centre, quat)
    angle = _norm(turn)
    if angle <= limits.max_rotation:
        return quat
    return rotate(centre, scale(turn, limits.max_rotation / angle))


def clamp_towards(value: Vector3, reach: float) -> Vector3:
    """A vector no longer than `reach`."""
    length = _norm(value)
    return value if length <= reach else scale(value, reach / length)


def stopping_distance(speed: float, acceleration: float, dt: float) -> float:
    """Way travelled when this tick moves at `speed` and each further one brakes by a dt."""
    step = acceleration * dt
    ticks = int(speed / step)
    return dt * ((ticks + 1) * speed - step * ticks * (ticks + 1) / 2)


def approach_speed(distance: float, acceleration: float, dt: float) -> float:
    """The inverse of `stopping_distance`: the fastest speed that comes to rest at `distance`."""
    unit = acceleration * dt * dt
    ticks = int((sqrt(1.0 + 8.0 * distance / unit) - 1.0) / 2)
    return acceleration * dt * ticks + (distance - unit * ticks * (ticks + 1) / 2) / (
        (ticks + 1) * dt
    )


def effective_acceleration(acceleration: float, jerk: float, dt: float) -> float:
    """Acceleration whose full reversal within one tick keeps the jerk limit: min(a, j dt / 2)."""
    return min(acceleration, jerk * dt / 2)


def limit_velocity(
    error: Vector3,
    velocity: Vector3,
    speed: float,
    acceleration: float,
    dt: float,
    feed: Vector3 = ZERO,
) -> tuple[Vector3, LimitStage]:
    """The next velocity towards a goal at `error`, and the stage that shaped it.

    At most `speed`, never faster than can brake to rest at the goal, and changed by at most
    `acceleration` x dt. Given a velocity inside these limits, so is the result. feed: the goal's
    own velocity, which comes on top of the approach.
    """
    distance = _norm(error)
    stage = LimitStage.NONE
    if distance < 1e-12:
        wanted = ZERO
    else:
        fastest = approach_speed(distance, acceleration, dt)
        if fastest * dt < distance * (1.0 - 1e-9):
            stage = LimitStage.ACCELERATION
        if fastest > speed:
            fastest, stage = speed, LimitStage.VELOCITY
        wanted = scale(error, fastest / distance)
    if feed != ZERO:
        wanted = (wanted[0] + feed[0], wanted[1] + feed[1], wanted[2] + feed[2])
        kept = clamp_towards(wanted, speed)
        if kept is not wanted:
            wanted, stage = kept, LimitStage.VELOCITY
    change = (wanted[0] - velocity[0], wanted[1] - velocity[1], wanted[2] - velocity[2])
    size = _norm(change)
    most = acceleration * dt
    if size <= most:
        return wanted, stage
    share = most / size
    return (
        velocity[0] + share * change[0],
        velocity[1] + share * change[1],
        velocity[2] + share * change[2],
    ), LimitStage.ACCELERATION


def brake(velocity: Vector3, acceleration: float, dt: float) -> Vector3:
    """The next velocity when stopping straight ahead."""
    speed = _norm(velocity)
    return scale(velocity, max(0.0, speed - acceleration * dt) / speed) if speed > 0.0 else ZERO


def stops_in_box(
    position: Vector3, velocity: Vector3, acceleration: float, dt: float, limits: Limits
) -> bool:
    """Whether moving at `velocity` and braking straight ahead ends inside the workspace.

    From outside (where an arm may have been left) every way that leads no further out will do.
    """
    speed = _norm(velocity)
    if speed == 0.0:
        return True
    way = stopping_distance(speed, acceleration, dt) / speed
    for at, rate, low, high in zip(
        position, velocity, limits.workspace_low, limits.workspace_high, strict=True
    ):
        if not min(low, at) - 1e-9 <= at + way * rate <= max(high, at) + 1e-9:
            return False
    return True


def stops_in_orientation(
    quat: Quaternion, velocity: Vector3, acceleration: float, dt: float, limits: Limits
) -> bool:
    """The same for the angle from the permitted centre."""
    speed = _norm(velocity)
    if speed == 0.0:
        return True
    centre: Quaternion = limits.orientation  # type: ignore[assignment]
    way = stopping_distance(speed, acceleration, dt)
    angle = _norm(rotation_between(centre, quat))
    if angle + way <= limits.max_rotation:
        return True
    end = rotate(quat, scale(velocity, way / speed))
    return _norm(rotation_between(centre, end)) <= max(angle, limits.max_rotation) + 1e-9


def scale(vector: Vector3, factor: float) -> Vector3:
    return (factor * vector[0], factor * vector[1], factor * vector[2])


def rotation_between(start: Quaternion, end: Quaternion) -> Vector3:
    """Rotation vector r (base axes, at most pi) with end = exp(r) start."""
    aw, ax, ay, az = end
    bw, bx, by, bz = start
    w = aw * bw + ax * bx + ay * by + az * bz
    x = -aw * bx + ax * bw - ay * bz + az * by
    y = -aw * by + ax * bz + ay * bw - az * bx
    z = -aw * bz - ax * by + ay * bx + az * bw
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    sine = sqrt(x * x + y * y + z * z)
    factor = 2.0 if sine < 1e-9 else 2.0 * atan2(sine, w) / sine
    return (factor * x, factor * y, factor * z)


def rotate(quat: Quaternion, rotvec: Vector3) -> Quaternion:
    """exp(rotvec) quat, unit length, w >= 0."""
    angle = _norm(rotvec)
    factor = 0.5 if angle < 1e-9 else sin(angle / 2) / angle
    aw, ax, ay, az = cos(angle / 2), factor * rotvec[0], factor * rotvec[1], factor * rotvec[2]
    bw, bx, by, bz = quat
    w = aw * bw - ax * bx - ay * by - az * bz
    x = aw * bx + ax * bw + ay * bz - az * by
    y = aw * by - ax * bz + ay * bw + az * bx
    z = aw * bz + ax * by - ay * bx + az * bw
    factor = 1.0 / sqrt(w * w + x * x + y * y + z * z)
    if w < 0.0:
        factor = -factor
    return (factor * w, factor * x, factor * y, factor * z)


def _norm(vector: Vector3) -> float:
    return hypot(*vector)
