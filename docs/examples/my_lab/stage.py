"""A six-axis positioning stage with a gripper, simulated: replace the physics by your device."""

import numpy as np

from robot_rl.drivers.limits import RobotTable, limits_within
from robot_rl.drivers.safe_robot import SafeRobot
from robot_rl.drivers.safety import check_command
from robot_rl.errors import RobotFault
from robot_rl.fault_latch import FaultLatch
from robot_rl.geometry import GRIPPER_DOWN, pose_add, pose_difference
from robot_rl.interfaces import Bundle, Capability
from robot_rl.testing.fakes import FakeWorld
from robot_rl.types import CartesianCommand, RobotState

TICK_NS = 10_000_000
LAG_S = 0.03
TABLE = RobotTable(  # what the device may do at most; limits_within leaves 10 % of it unused
    name="stage",
    velocity=1.0, acceleration=5.0, jerk=500.0,
    angular_velocity=2.5, angular_acceleration=15.0, angular_jerk=1500.0,
    joint_low=(-2.0,) * 6, joint_high=(2.0,) * 6,
    joint_velocity=(5.0,) * 6, joint_velocity_peak=(5.0,) * 6,
    joint_acceleration=(50.0,) * 6, joint_jerk=(5000.0,) * 6,
)  # fmt: skip


class Stage:
    """Implements `Robot`: its pose follows the setpoint with a lag of 30 ms."""

    n_arms = 1
    capabilities = Capability.GRIPPER
    gripper_range = (np.array([0.0]), np.array([0.08]))  # closed and open, of each gripper
    base_poses = np.eye(1, 7, 3)
    gains = {}  # noqa: RUF012
    limits = ()  # of a safety layer; this is a bare device
    kinematics = None  # for a robot that is commanded in joint space

    def __init__(self, world):
        self.clock = world.clock
        self.clock.every(TICK_NS, self._tick)
        self._pose = np.array([[0.5, 0.0, 0.25, *GRIPPER_DOWN]])
        self._setpoint, self._twist = self._pose.copy(), np.zeros((1, 6))
        self._width = np.array([0.08])
        self._fault = FaultLatch()
        self._connected = False

    def connect(self):
        self._fault.clear()
        self._connected = True

    def close(self):
        self._connected = False

    def read(self):
        self._require_connection()
        zeros = np.zeros((1, 6))
        return RobotState(
            stamp_ns=self.clock.now_ns(), boot_id=self.clock.boot_id,
            q=zeros, dq=zeros, tau=zeros,
            pose=self._pose.copy(), twist=self._twist.copy(), wrench=zeros,
            gripper_width=self._width.copy(),
            setpoint=self._setpoint.copy(), gripper_setpoint=self._width.copy(),
            fault=self._fault.shown,
        )  # fmt: skip

    def command(self, command):
        self._require_ready()
        command = check_command(command, self.n_arms)
        self._setpoint = command.pose.copy()
        self._width = np.clip(command.gripper, *self.gripper_range)

    def move_to(self, pose, gripper=None):
        # a device that drives there calls _require_ready each 20 ms on its way
        self.command(CartesianCommand(pose, self._width if gripper is None else gripper, 0))
        self._pose, self._twist = pose.copy(), np.zeros((1, 6))  # a simulation may jump

    def stop(self):
        self._require_connection()
        self._setpoint = self._pose.copy()

    def trip(self, reason):  # any thread
        self._fault.trip(reason)

    def rearm(self):
        self._fault.clear()

    def _tick(self):
        if self._fault.obey():
            self.stop()
        step = pose_difference(self._pose, self._setpoint, "base") * min(1.0, TICK_NS / 1e9 / LAG_S)
        self._pose, self._twist = pose_add(self._pose, step, "base"), step / (TICK_NS / 1e9)

    def _require_ready(self):
        self._require_connection()
        if self._fault.obey():
            self.stop()
        if self._fault.reason:
            raise RobotFault(f"{self._fault.reason}; a person re-arms")

    def _require_connection(self):
        if not self._connected:
            raise RobotFault("the stage is not connected; call connect() first")


def make(velocity: float = 0.3) -> Bundle:
    """What the YAML names: the robot behind its safety layer, and the world it stands in."""
    world = FakeWorld()
    limits = limits_within(
        TABLE,
        workspace_low=(0.3, -0.3, 0.01), workspace_high=(0.7, 0.3, 0.5), max_rotation=0.9,
        velocity=velocity, angular_velocity=1.5, max_force=20.0, force_trip=60.0,
    )  # fmt: skip
    robot = SafeRobot(Stage(world), (limits,), stream_resets=False, rearm_on_reset=True)
    return Bundle(robot, world)
