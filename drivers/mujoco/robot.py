"""The simulated arm: a `Robot` like any hardware."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_rl.drivers.mujoco.clock import SimClock
from robot_rl.drivers.mujoco.kinematics import ArmKinematics
from robot_rl.drivers.mujoco.model import ARM_JOINTS, FINGERS, JointGains, mujoco
from robot_rl.drivers.mujoco.targets import TICK, ArmTarget, CartesianTarget, JointTarget
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.drivers.safety import check_poses
from robot_rl.errors import RobotFault
from robot_rl.fault_latch import FaultLatch
from robot_rl.geometry import pose_difference
from robot_rl.interfaces import Capability
from robot_rl.limits import Limits
from robot_rl.timing import NS
from robot_rl.types import Array, Command, RobotState

GRIPPER_RANGE = (0.0, 0.08)
SITE = int(mujoco.mjtObj.mjOBJ_SITE)
SETTLING = 50
"""Ticks that a driven reset waits for the arm to rest."""


class SimRobot:
    """One FR3 in a `SimWorld`, under the impedance law of its actuators: Cartesian, or of joints
    where the world was made with JointGains.

    `read().wrench` estimates the external wrench from the joint torques of contacts and limits,
    least squares of J^T w = tau, as a torque-sensing arm does.
    """

    def __init__(self, world: SimWorld, *, teleport_resets: bool = True) -> None:
        """`teleport_resets`: `move_to` places the arm at once; else the impedance law drives it."""
        self._world = world
        self._teleport = teleport_resets
        self._joint = isinstance(world.gains, JointGains)
        self._connected = False
        self._fault = FaultLatch()

    @property
    def n_arms(self) -> int:
        return 1

    @property
    def capabilities(self) -> Capability:
        space = Capability.JOINT if self._joint else Capability.CARTESIAN_IMPEDANCE
        return space | Capability.WRENCH | Capability.GRIPPER

    @property
    def clock(self) -> SimClock:
        return self._world.clock

    @property
    def base_poses(self) -> Array:
        return np.eye(1, 7, 3)

    @property
    def gripper_range(self) -> tuple[Array, Array]:
        return np.array(GRIPPER_RANGE[:1]), np.array(GRIPPER_RANGE[1:])

    @property
    def limits(self) -> tuple[Limits, ...]:
        return ()

    @property
    def kinematics(self) -> ArmKinematics | None:
        return self._solver if self._joint and self._connected else None

    @property
    def gains(self) -> Mapping[str, float]:
        return self._world.gains.mapping()

    def connect(self) -> None:
        """Takes hold of the world's arm with a new time base; RobotFault before `build`."""
        self._fault.clear()
        if not self._world.built:
            raise RobotFault("call world.build(scene) before robot.connect()")
        model, data = self._world.model, self._world.data
        self._site = model.site("tcp").id
        joints = [model.joint(name) for name in ARM_JOINTS]
        self._joints = np.array([int(joint.qposadr[0]) for joint in joints])
        self._dofs = np.array([int(joint.dofadr[0]) for joint in joints])
        self._arm_q = slice(int(self._joints[0]), int(self._joints[-1]) + 1)
        self._arm_v = slice(int(self._dofs[0]), int(self._dofs[-1]) + 1)
        self._fingers = [self._world.qpos_address(name) for name in FINGERS]
        self._gripper = model.actuator("gripper").id
        self._solver = ArmKinematics(
            model, self._world.home_qpos, self._joints, self._dofs, self._site
        )
        self._target: ArmTarget = (
            JointTarget(model, data, self._solver, data.qpos[self._joints])
            if self._joint
            else CartesianTarget(data)
        )
        # Views into the physics' own arrays: what MuJoCo writes there is read without a lookup.
        self._position = data.site_xpos[self._site]
        self._matrix = data.site_xmat[self._site]
        self._q, self._dq = data.qpos[None, self._arm_q], data.qvel[None, self._arm_v]
        self._tau = data.qfrc_actuator[None, self._arm_v]
        self._gravity = data.qfrc_gravcomp[None, self._arm_v]
        self._contact = data.qfrc_constraint[self._arm_v]
        self._widths = data.qpos[self._fingers[0] : self._fingers[0] + 2]
        self._width_target = data.ctrl[self._gripper : self._gripper + 1]
        self._jacobian = np.zeros((6, model.nv))
        self._velocity = np.zeros(6)
        self.clock.restart()
        self._connected = True

    def read(self) -> RobotState:
        self._require_connection()
        pose, setpoint, twist = np.empty((1, 7)), np.empty((1, 7)), np.empty((1, 6))
        quat = pose[0, 3:]
        pose[0, :3] = self._position
        mujoco.mju_mat2Quat(quat, self._matrix)
        if quat[0] < 0.0:
            quat *= -1.0
        setpoint[0] = self._target.pose()
        mujoco.mj_objectVelocity(
            self._world.model, self._world.data, SITE, self._site, self._velocity, 0
        )
        twist[0, :3], twist[0, 3:] = self._velocity[3:], self._velocity[:3]
        return RobotState(
            stamp_ns=self.clock.now_ns(),
            boot_id=self.clock.boot_id,
            q=self._q.copy(),
            dq=self._dq.copy(),
            tau=self._tau + self._gravity,
            pose=pose,
            twist=twist,
            wrench=self._wrench(),
            gripper_width=np.array([self._widths[0] + self._widths[1]]),
            setpoint=setpoint,
            gripper_setpoint=self._width_target.copy(),
            fault=self._fault.shown,
            joint_setpoint=self._target.joints(),
        )

    def command(self, command: Command) -> None:
        """Moves the target at once; SafeRobot is what limits it."""
        self._require_ready()
        self._target.set(self._target.check(command))
        self._set_width(float(command.gripper[0]))

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """Rests at `pose` (1, 7); RobotFault when it is out of reach, blocked or stopped."""
        self._require_ready()
        check_poses(pose, 1, "move_to")
        width = float(self._width_target[0] if gripper is None else gripper[0])
        if self._teleport:
            self._place(np.asarray(pose[0], np.float64), width)
        else:
            self._drive(np.asarray(pose[0], np.float64), width)

    def stop(self) -> None:
        """The target becomes what is measured: the springs relax and the arm comes to rest."""
        state = self.read()
        self._target.place(state.pose[0], state.q[0])

    def trip(self, reason: str) -> None:
        """Any thread. The next `command` and each tick of `move_to` hold, and refuse to move."""
        self._fault.trip(reason)

    def rearm(self) -> None:
        self._fault.clear()

    def close(self) -> None:
        if self._connected:
            self.stop()
            self._connected = False

    def _wrench(self) -> Array:
        """(1, 6) at the tool centre point, base axes."""
        torque = self._contact
        if not torque.any():
            return np.zeros((1, 6))
        jacobian = self._jacobian
        mujoco.mj_jacSite(
            self._world.model, self._world.data, jacobian[:3], jacobian[3:], self._site
        )
        arm = jacobian[:, self._arm_v]
        square = arm @ arm.T
        square[np.diag_indices(6)] += 1e-6
        return np.linalg.solve(square, arm @ torque)[None]

    def _set_width(self, width: float) -> None:
        self._width_target[0] = min(max(width, GRIPPER_RANGE[0]), GRIPPER_RANGE[1])

    def _place(self, pose: Array, width: float) -> None:
        joints, residual = self._solver.solve(pose)
        if residual > 1e-4:
            raise RobotFault(f"pose {np.round(pose, 4).tolist()} is out of reach by {residual:.2g}")
        data = self._world.data
        data.qpos[self._joints] = joints
        data.qpos[self._fingers] = min(max(width, GRIPPER_RANGE[0]), GRIPPER_RANGE[1]) / 2
        data.qvel[self._dofs] = 0.0
        data.qvel[[self._world.dof_address(name) for name in FINGERS]] = 0.0
        self._target.place(pose, joints)
        self._set_width(width)
        self._world.synchronise()

    def _drive(self, pose: Array, width: float) -> None:
        self._set_width(width)
        for _ in self._target.way(pose, self._solver):
            self._wait_a_tick()
        for _ in range(SETTLING):
            self._wait_a_tick()
        error = np.abs(pose_difference(self.read().pose[0], pose, "base"))
        if error[:3].max() > 2e-3 or error[3:].max() > 2e-2:
            raise RobotFault(
                f"the arm rests {1e3 * error[:3].max():.1f} mm and {error[3:].max():.3f} rad away "
                f"from {np.round(pose, 4).tolist()}: blocked or out of reach"
            )

    def _wait_a_tick(self) -> None:
        """Lets the arm follow for a tick; RobotFault, holding, once it was tripped."""
        self.clock.sleep_until(self.clock.now_ns() + round(TICK * NS))
        self._require_ready()

    def _require_ready(self) -> None:
        self._require_connection()
        if self._fault.obey():
            self.stop()
        if self._fault.reason:
            raise RobotFault(f"{self._fault.reason}; a person re-arms")

    def _require_connection(self) -> None:
        if not self._connected:
            raise RobotFault("the robot is not connected; call connect() first")
