"""SERL's Cartesian impedance law in NumPy: the reference for what the MJCF's actuators do.

Luo et al., "SERL" (2401.16013), section on the impedance controller:

    tau = J^T (K clip(e) - D xdot) + (I - J^T J^T+) (k (q0 - q) - 2 sqrt(k) dq) + C(q, dq) dq

with e the pose error in base axes, its rotational half the vector part of the error quaternion,
gravity compensated by the arm. The native law differs in three stated ways:

- Rotation error as a rotation vector, so that half of SERL's stiffness and twice its clip give the
  same torque: within (theta / 2)^2 / 6 of it, 0.04 % at 0.1 rad. It is clipped along the target's
  axes, SERL's along the base's: equal inside the clip, at most 2.1 K clip apart beyond (2.04 over
  20,000 random errors and orientations up to 0.6 rad an axis).
- The posture is held by a spring on joint 3 instead of a projected term: equal (zero) at q3 = 0.
- No Coriolis term: apart by C(q, dq) dq, which vanishes with the square of the speed.
"""

from __future__ import annotations

import numpy as np

from robot_rl.drivers.mujoco.model import Gains
from robot_rl.geometry import quat_conjugate, quat_multiply, quat_rotate
from robot_rl.types import Array


def pose_error(pose: Array, target: Array) -> Array:
    """(6,) in base axes: position in m, vector part of the error quaternion (half the angle)."""
    turn = quat_multiply(quat_conjugate(pose[3:]), target[3:])
    if turn[0] < 0.0:
        turn = -turn
    return np.concatenate([target[:3] - pose[:3], quat_rotate(pose[3:], turn[1:])])


def clip_error(error: Array, gains: Gains) -> Array:
    """Each axis within its clip; a rotation vector's clip is twice the quaternion's."""
    limit = np.repeat([gains.translational_clip, gains.rotational_clip / 2], 3)
    return np.clip(error, -limit, limit)


def task_wrench(pose: Array, twist: Array, target: Array, gains: Gains) -> Array:
    """K clip(e) - D xdot: (6,) N and Nm in base axes at the tool centre point."""
    stiffness = np.repeat([gains.translational_stiffness, 2 * gains.rotational_stiffness], 3)
    damping = np.repeat([gains.translational_damping, gains.rotational_damping], 3)
    wrench: Array = stiffness * clip_error(pose_error(pose, target), gains) - damping * twist
    return wrench


def null_space_torque(
    jacobian: Array, q: Array, dq: Array, posture: Array, stiffness: float
) -> Array:
    """(I - J^T J^T+) (k (q0 - q) - 2 sqrt(k) dq): (n,) Nm that move no end effector at rest."""
    projector = np.eye(len(q)) - jacobian.T @ np.linalg.pinv(jacobian.T)
    torque: Array = projector @ (stiffness * (posture - q) - 2 * np.sqrt(stiffness) * dq)
    return torque


def serl_torque(
    *,
    pose: Array,
    target: Array,
    q: Array,
    dq: Array,
    jacobian: Array,
    coriolis: Array,
    gains: Gains,
    posture: Array,
    posture_stiffness: float = 0.2,
) -> Array:
    """Joint torques (n,) Nm, gravity apart.

    pose, target (7,) base frame; q, dq, posture (n,); jacobian (6, n) of the tool centre point in
    base axes, linear rows first; coriolis (n,) Nm.
    """
    wrench = task_wrench(pose, jacobian @ dq, target, gains)
    return (
        jacobian.T @ wrench
        + null_space_torque(jacobian, q, dq, posture, posture_stiffness)
        + coriolis
    )
