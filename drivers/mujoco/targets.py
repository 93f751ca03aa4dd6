"""What the simulated arm's actuators pull towards: a Cartesian target, or one for each joint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from robot_rl.drivers.mujoco.kinematics import ArmKinematics
from robot_rl.drivers.mujoco.model import DAMPERS, SPRINGS, mujoco
from robot_rl.drivers.safety import check_command
from robot_rl.errors import RobotFault, SpecError
from robot_rl.geometry import pose_add, pose_difference
from robot_rl.types import Array, Command, JointCommand

SPEED = 0.15
"""m/s of the target when a reset is driven instead of placed."""
JOINT_SPEED = 0.5
"""rad/s, the same for joints."""
TICK = 0.02
"""s between two targets of such a reset."""


class ArmTarget(Protocol):
    def check(self, command: Command) -> Command:
        """Refuses what is not valid in this space."""
        ...

    def set(self, command: Command) -> None: ...

    def place(self, pose: Array, q: Array) -> None:
        """Rests at a pose (7,) and the joints (7,) that reach it."""
        ...

    def pose(self) -> Array:
        """(7,) of the target, base frame."""
        ...

    def joints(self) -> Array | None:
        """(1, 7) of the target, or None where it has no joints."""
        ...

    def way(self, pose: Array, kinematics: ArmKinematics) -> Iterator[None]:
        """Moves the target to a pose (7,) in small steps, one a TICK."""
        ...


class CartesianTarget:
    """The two frames that the impedance law's springs pull the tool centre point to."""

    def __init__(self, data: mujoco.MjData) -> None:
        self._positions, self._quat = data.mocap_pos[:2], data.mocap_quat[1]

    def check(self, command: Command) -> Command:
        return check_command(command, 1)

    def set(self, command: Command) -> None:
        assert not isinstance(command, JointCommand)
        self._set(command.pose[0])

    def place(self, pose: Array, q: Array) -> None:
        self._set(pose)

    def pose(self) -> Array:
        return np.concatenate([self._positions[0], self._quat])

    def joints(self) -> Array | None:
        return None

    def way(self, pose: Array, kinematics: ArmKinematics) -> Iterator[None]:
        start = self.pose()
        delta = pose_difference(start, pose, "base")
        duration = max(
            float(np.linalg.norm(delta[:3])) / SPEED, float(np.linalg.norm(delta[3:])), 0.5
        )
        for share in np.linspace(0.0, 1.0, int(duration / TICK) + 2)[1:]:
            self._set(pose_add(start, share * delta, "base"))
            yield

    def _set(self, pose: Array) -> None:
        self._positions[:] = pose[:3]
        self._quat[:] = pose[3:] if pose[3] >= 0.0 else -pose[3:]


class JointTarget:
    """Position and velocity of each joint, the controls of its spring and damper."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, kinematics: ArmKinematics, q: Array
    ) -> None:
        """`q` (7,) is where it rests at first."""
        self._model, self._data, self._kinematics = model, data, kinematics
        self._springs = [model.actuator(name).id for name in SPRINGS]
        self._dampers = [model.actuator(name).id for name in DAMPERS]
        self._shown: tuple[Array, Array] = np.zeros(7), np.zeros(7)
        self._set(q)

    def check(self, command: Command) -> Command:
        command = check_command(command, 1, len(self._springs))
        if not isinstance(command, JointCommand):
            raise SpecError("the arm is under joint control; valid here: JointCommand")
        return command

    def set(self, command: Command) -> None:
        assert isinstance(command, JointCommand)
        self._set(command.q[0], None if command.velocity is None else command.velocity[0])

    def place(self, pose: Array, q: Array) -> None:
        self._set(q)

    def pose(self) -> Array:
        q = self._data.ctrl[self._springs]
        if not np.array_equal(q, self._shown[0]):
            self._shown = q, np.array(self._kinematics.forward(0, q.tolist()))
        return self._shown[1]

    def joints(self) -> Array | None:
        controls: Array = self._data.ctrl[None, self._springs]
        return controls

    def way(self, pose: Array, kinematics: ArmKinematics) -> Iterator[None]:
        start = self._data.ctrl[self._springs]
        goal, away = kinematics.solve(pose, start)
        if away > 1e-4:
            raise RobotFault(f"pose {np.round(pose, 4).tolist()} is out of reach by {away:.2g}")
        duration = max(float(np.abs(goal - start).max()) / JOINT_SPEED, 0.5)
        for share in np.linspace(0.0, 1.0, int(duration / TICK) + 2)[1:]:
            self._set(start + share * (goal - start))
            yield

    def _set(self, q: Array, velocity: Array | None = None) -> None:
        self._data.ctrl[self._springs] = q
        self._data.ctrl[self._dampers] = 0.0 if velocity is None else velocity
