"""Kinematics of the simulated arm, on a copy of the state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.drivers.mujoco.model import mujoco
from robot_rl.geometry import quat_conjugate, quat_multiply, rotvec_from_quat
from robot_rl.types import Array

POSTURE_JOINT = 2
"""Joint 3 stays where the seed has it: the remaining six determine the pose."""


REACH = 1.2
"""m; the links from the second joint to the tool centre point, stretched, are 1.1."""


class ArmKinematics:
    """The arm's tool for given joints, and joints for a tool pose; a `Kinematics`.

    Joint 3 stays where it is, so that the elbow's spring rests. Levenberg-Marquardt step (Nocedal &
    Wright, Numerical Optimization, ch. 10): dq = J^T (J J^T + damping I)^-1 e, with e in m and rad.
    """

    def __init__(
        self, model: mujoco.MjModel, qpos: Array, joints: Array, dofs: Array, site: int
    ) -> None:
        """`qpos` is a full state to start from; `joints`, `dofs` address the arm's 7 joints."""
        self._model = model
        self._data = mujoco.MjData(model)
        self._data.qpos[:] = qpos
        self._seed = qpos[joints].copy()
        self._joints = joints
        self._site = site
        free = np.arange(len(joints)) != POSTURE_JOINT
        self._free_joints, self._free_dofs = joints[free], dofs[free]
        self._low, self._high = model.jnt_range[: len(joints)].T[:, free]
        self._jacobian = np.zeros((6, model.nv))
        self._q = self._data.qpos[int(joints[0]) : int(joints[-1]) + 1]
        self._position, self._matrix = self._data.site_xpos[site], self._data.site_xmat[site]

    @property
    def reach(self) -> float:
        return REACH

    def forward(self, arm: int, q: Sequence[float]) -> Sequence[float]:
        """Pose (7,) of the tool centre point, base frame."""
        self._q[:] = q
        mujoco.mj_kinematics(self._model, self._data)
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, self._matrix)
        if quat[0] < 0.0:
            quat *= -1.0
        return [*self._position.tolist(), *quat.tolist()]

    def inverse(self, arm: int, pose: Array, near: Array) -> tuple[Array, float]:
        return self.solve(pose, near)

    def solve(
        self, pose: Array, near: Array | None = None, iterations: int = 60
    ) -> tuple[Array, float]:
        """Joint positions (7,) and the remaining error (m or rad, the larger) for a pose (7,).

        near: joints to start from; the home posture if left out.
        """
        data, model = self._data, self._model
        data.qpos[self._joints] = self._seed if near is None else near
        error = np.empty(6)
        quat = np.empty(4)
        for _ in range(iterations):
            mujoco.mj_kinematics(model, data)
            mujoco.mju_mat2Quat(quat, data.site_xmat[self._site])
            error[:3] = pose[:3] - data.site_xpos[self._site]
            error[3:] = rotvec_from_quat(quat_multiply(pose[3:], quat_conjugate(quat)))
            residual = float(np.abs(error).max())
            if residual < 1e-9:
                break
            mujoco.mj_comPos(model, data)
            mujoco.mj_jacSite(model, data, self._jacobian[:3], self._jacobian[3:], self._site)
            jacobian = self._jacobian[:, self._free_dofs]
            square = jacobian @ jacobian.T
            square[np.diag_indices(6)] += min(1e-3, residual**2)
            step = jacobian.T @ np.linalg.solve(square, error)
            step *= min(1.0, 0.5 / (float(np.abs(step).max()) + 1e-12))
            data.qpos[self._free_joints] = np.clip(
                data.qpos[self._free_joints] + step, self._low, self._high
            )
        return data.qpos[self._joints].copy(), residual
