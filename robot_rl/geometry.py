"""The one pose convention: (7,) = position in m, unit quaternion (w, x, y, z) with w >= 0.

Rotation vectors are axis times angle in rad. Formulas: Solà et al., "A micro Lie theory for state
estimation in robotics" (1812.01537), eq. 132-146. Everything is float64 and vectorised over
leading axes unless it says otherwise.
"""

from __future__ import annotations

import numpy as np

from robot_rl.types import Array

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
GRIPPER_DOWN = np.array([0.0, 1.0, 0.0, 0.0])
"""Quaternion of an end effector whose z axis points down and x axis forward."""
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


def quat_normalise(quat: Array) -> Array:
    """Unit length and w >= 0."""
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.where(quat[..., :1] < 0.0, -quat, quat)


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product: the rotation b, then a."""
    a, b = np.asarray(a), np.asarray(b)
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    product = np.empty(np.broadcast_shapes(a.shape, b.shape))
    product[..., 0] = aw * bw - ax * bx - ay * by - az * bz
    product[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    product[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    product[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return product


def quat_conjugate(quat: Array) -> Array:
    """The inverse rotation."""
    return np.asarray(quat) * _CONJUGATE


def _cross(a: Array, b: Array) -> Array:
    """As np.cross for (..., 3), at a fifth of its overhead: this runs in every control period."""
    return a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]


def quat_rotate(quat: Array, vector: Array) -> Array:
    """Rotates vectors (..., 3)."""
    quat, vector = np.asarray(quat), np.asarray(vector)
    u, w = quat[..., 1:], quat[..., :1]
    t = 2.0 * _cross(u, vector)
    return vector + w * t + _cross(u, t)


def quat_from_rotvec(rotvec: Array) -> Array:
    """Exponential map of (..., 3) rad."""
    rotvec = np.asarray(rotvec, np.float64)
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)
    return quat_normalise(
        np.concatenate([np.cos(angle / 2), rotvec * np.sinc(angle / (2 * np.pi)) / 2], axis=-1)
    )


def rotvec_from_quat(quat: Array) -> Array:
    """Logarithm: (..., 3) rad of length at most pi."""
    quat = quat_normalise(quat)
    vector = quat[..., 1:]
    sine = np.linalg.norm(vector, axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, quat[..., :1])
    small = sine < 1e-9
    return vector * np.where(small, 2.0, angle / np.where(small, 1.0, sine))


def matrix_from_quat(quat: Array) -> Array:
    """Rotation matrix (3, 3) of one quaternion."""
    w, x, y, z = quat.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_from_yaw(yaw: float) -> Array:
    """A turn about z, rad."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def yaw_of(quat: Array) -> float:
    """Heading of the x axis in the plane, rad."""
    x = quat_rotate(quat, np.array([1.0, 0.0, 0.0]))
    return float(np.arctan2(x[..., 1], x[..., 0]))


def pose(position: Array, quat: Array) -> Array:
    """Joins (..., 3) and (..., 4)."""
    return np.concatenate([position, quat_normalise(np.asarray(quat, np.float64))], axis=-1)


def pose_multiply(a: Array, b: Array) -> Array:
    """b given in the frame a, expressed where a is: T_a T_b."""
    position = a[..., :3] + quat_rotate(a[..., 3:], b[..., :3])
    return np.concatenate(
        [position, quat_normalise(quat_multiply(a[..., 3:], b[..., 3:]))], axis=-1
    )


def pose_inverse(a: Array) -> Array:
    """T_a^-1."""
    quat = quat_conjugate(a[..., 3:])
    return np.concatenate([-quat_rotate(quat, a[..., :3]), quat], axis=-1)


def pose_relative(origin: Array, a: Array) -> Array:
    """a seen from origin: T_origin^-1 T_a."""
    return pose_multiply(pose_inverse(origin), a)


def pose_add(a: Array, delta: Array, frame: str) -> Array:
    """a ⊕ delta, delta (..., 6) = translation m and rotation vector rad.

    frame "ee": along a's own axes (T_a · T_delta, rotation and translation apart).
    frame "base": along the base's axes; the rotation turns the end effector about its own origin.
    """
    shift, turn = delta[..., :3], quat_from_rotvec(delta[..., 3:])
    if frame == "ee":
        position = a[..., :3] + quat_rotate(a[..., 3:], shift)
        quat = quat_multiply(a[..., 3:], turn)
    elif frame == "base":
        position = a[..., :3] + shift
        quat = quat_multiply(turn, a[..., 3:])
    else:
        raise ValueError(f"frame '{frame}' is not 'ee' or 'base'")
    return np.concatenate([position, quat_normalise(quat)], axis=-1)


def pose_difference(a: Array, b: Array, frame: str) -> Array:
    """delta (..., 6) such that pose_add(a, delta, frame) == b."""
    shift = b[..., :3] - a[..., :3]
    if frame == "ee":
        back = quat_conjugate(a[..., 3:])
        return np.concatenate(
            [quat_rotate(back, shift), rotvec_from_quat(quat_multiply(back, b[..., 3:]))], axis=-1
        )
    if frame == "base":
        turn = quat_multiply(b[..., 3:], quat_conjugate(a[..., 3:]))
        return np.concatenate([shift, rotvec_from_quat(turn)], axis=-1)
    raise ValueError(f"frame '{frame}' is not 'ee' or 'base'")


def twist_transform(pose_ab: Array, twist_b: Array) -> Array:
    """Twist (v, ω) given in frame b, expressed in frame a: v_a = R v_b + p × R ω_b, ω_a = R ω_b."""
    v = quat_rotate(pose_ab[..., 3:], twist_b[..., :3])
    w = quat_rotate(pose_ab[..., 3:], twist_b[..., 3:])
    return np.concatenate([v + _cross(pose_ab[..., :3], w), w], axis=-1)
