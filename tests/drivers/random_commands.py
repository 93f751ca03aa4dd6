"""Random commands through the real safety layer, and the independent judge of what comes out.

Two kinematic arms with limits of their own take what is emitted, in Cartesian space or in joint
space (there with the FR3's kinematics). The judge works on the recorded setpoints alone, by finite
differences and the published Craig parameters; it shares no code with the limiters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from robot_rl.drivers.limits import FR3, limits_within
from robot_rl.drivers.mujoco.model import JointGains
from robot_rl.drivers.mujoco.robot import SimRobot
from robot_rl.drivers.mujoco.world import HOME, SimWorld
from robot_rl.drivers.safe_robot import PERIOD_NS, SafeRobot
from robot_rl.errors import PoisonedDataError, RobotFault, SpecError
from robot_rl.geometry import GRIPPER_DOWN, quat_from_rotvec, quat_multiply
from robot_rl.limits import Limits
from robot_rl.testing.fakes import FakeRobot
from robot_rl.testing.motion import joint_violations, stopping_room, violations
from robot_rl.types import Array, CartesianCommand, Command, JointCommand, Scene

DT = PERIOD_NS / 1e9
CRAIG = [
    (0.0, 0.0, 0.333), (-1.0, 0.0, 0.0), (1.0, 0.0, 0.316), (1.0, 0.0825, 0.0),
    (-1.0, -0.0825, 0.384), (1.0, 0.0, 0.0), (1.0, 0.088, 0.0),
]  # fmt: skip
"""(alpha in quarter turns, a in m, d in m) of each joint."""
ARMS = 2


@dataclass(frozen=True)
class Ask:
    """One thing that is asked of the robot, and how many ticks pass then."""

    kind: str
    """near, far, huge, nan, stale, silent or joint (a joint command, where they are valid)."""
    numbers: tuple[float, ...]
    """14 in [-1, 1]: for each arm where, and how turned."""
    speed: float
    """Feed-forward, as a share of a fast velocity; 0 for none."""
    ticks: int


KINDS = ("far", "far", "joint", "joint", "near", "huge", "nan", "stale", "silent")


class RecordingArms(FakeRobot):
    """Goes at once where it is sent; keeps every setpoint, in a new segment after each hold."""

    def __init__(self, *, joint: bool) -> None:
        far = (-9.0,) * 3
        super().__init__(
            n_arms=ARMS, joint=joint, speed=1e3, angular_speed=1e3, low=far, high=(9.0,) * 3
        )
        self.segments: list[list[Array]] = [[]]
        if joint:
            world = SimWorld(JointGains())
            world.build(Scene(""))
            arm = SimRobot(world)
            arm.connect()
            assert arm.kinematics is not None
            self._solver = arm.kinematics  # type: ignore[assignment]
            pose = self._setpoint[0]
            self._q = np.tile(arm.kinematics.inverse(0, pose, np.array(HOME))[0], (ARMS, 1))
            self._goal = self._q.copy()

    @property
    def gains(self) -> Mapping[str, float]:
        """A soft controller: its clip is wide, so that only the limiter keeps the walls."""
        if self.kinematics is not None:
            return {}
        return {"translational_stiffness": 100.0, "translational_clip": 0.2}

    def command(self, command: Command) -> None:
        super().command(command)
        emitted = command.q if isinstance(command, JointCommand) else command.pose
        self.segments[-1].append(emitted.copy())

    def stop(self) -> None:
        super().stop()
        self.segments.append([])


def make_limits(**changes: object) -> Limits:
    limits = limits_within(
        FR3,
        workspace_low=(0.3, -0.3, 0.05),
        workspace_high=(0.7, 0.3, 0.5),
        max_rotation=0.8,
        max_force=20.0,
        force_trip=40.0,
        velocity=0.5,
        angular_velocity=1.5,
        joint_speed=0.8,
    )
    return replace(limits, **changes)  # type: ignore[arg-type]


def two_arms(*, joint: bool) -> tuple[SafeRobot, RecordingArms]:
    """Behind the real layer, connected; the second arm has a smaller box, lower speeds and, in
    joint space, ends half a radian away."""
    inner = RecordingArms(joint=joint)
    inner.connect()
    q = inner.read().q
    wide = {} if joint else {"joint_low": (-3.0,) * 7, "joint_high": (3.0,) * 7}
    ends = {"joint_low": tuple(q[1] - 0.5), "joint_high": tuple(q[1] + 0.5)} if joint else wide
    pair = (
        make_limits(**wide),
        make_limits(workspace_high=(0.6, 0.15, 0.45), velocity=0.3, jerk=200.0, **ends),
    )
    robot = SafeRobot(inner, pair)
    robot.connect()
    return robot, inner


def play(robot: SafeRobot, asks: Iterable[Ask], *, joint: bool) -> None:
    """Asks one after the other, each every 100 ms as a policy does; a latched fault is re-armed."""
    for ask in asks:
        left = ask.ticks
        while left > 0:
            now = robot.clock.now_ns()
            try:
                if ask.kind != "silent":
                    robot.command(_command(ask, now, joint=joint))
            except (PoisonedDataError, SpecError):
                pass
            except RobotFault:
                try:
                    robot.rearm()
                except RobotFault:  # it stands outside its limits: the judge will say so
                    return
            robot.clock.sleep_until(now + min(left, 5) * PERIOD_NS)
            left -= 5


def faults_of(robot: SafeRobot, inner: RecordingArms, *, joint: bool) -> list[str]:
    """What the recorded setpoints do that no setpoint may; empty when nothing."""
    found = []
    for segment in inner.segments:
        if len(segment) < 4:
            continue
        emitted = np.array(segment)
        if not np.isfinite(emitted).all():
            return ["a setpoint is not finite"]
        for arm, limits in enumerate(robot.limits):
            rows = emitted[:, arm]
            if joint:
                lines = joint_violations(rows, craig_poses(rows), DT, limits)
            else:
                lines = violations(rows, DT, limits)
                room = stopping_room(rows, DT, limits)
                lines += [f"{room:.3g} m left to a wall after braking"] * (room < -1e-6)
            found += [f"arm {arm}: {line}" for line in lines]
    return found


def count_of(inner: RecordingArms) -> int:
    return sum(map(len, inner.segments))


def random_asks(rng: np.random.Generator, count: int) -> list[Ask]:
    """As Hypothesis draws them, for the long run."""
    return [
        Ask(
            str(rng.choice(KINDS)),
            tuple(rng.uniform(-1.0, 1.0, 14).tolist()),
            float(rng.choice([0.0, rng.uniform(-1.0, 1.0)])),
            int(rng.integers(1, 17 if rng.uniform() < 0.5 else 50)),
        )
        for _ in range(count)
    ]


def craig_poses(q: Array) -> Array:
    """Tool poses (n, 7) for joints (n, 7): Craig, Introduction to Robotics, eq. 3.6."""
    poses = np.tile(np.eye(4), (len(q), 1, 1))
    last = (0.0, 0.0, 0.107, np.full(len(q), -np.pi / 4)), (0.0, 0.0, 0.1034, np.zeros(len(q)))
    for alpha, a, d, theta in [*((*row, q[:, i]) for i, row in enumerate(CRAIG)), *last]:
        ct, st = np.cos(theta), np.sin(theta)
        ca, sa = np.cos(alpha * np.pi / 2), np.sin(alpha * np.pi / 2)
        step = np.zeros((len(q), 4, 4))
        step[:, 0, 0], step[:, 0, 1], step[:, 0, 3] = ct, -st, a
        step[:, 1, 0], step[:, 1, 1], step[:, 1, 2], step[:, 1, 3] = st * ca, ct * ca, -sa, -sa * d
        step[:, 2, 0], step[:, 2, 1], step[:, 2, 2], step[:, 2, 3] = st * sa, ct * sa, ca, ca * d
        step[:, 3, 3] = 1.0
        poses = poses @ step
    return np.concatenate([poses[:, :3, 3], _quaternions(poses[:, :3, :3])], axis=1)


def _quaternions(matrices: Array) -> Array:
    """(n, 4) of rotation matrices, by the eigenvector of Bar-Itzhack's symmetric matrix."""
    m = matrices
    k = np.empty((len(m), 4, 4))
    trace = m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]
    skew = np.stack(
        [m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], axis=1
    )
    k[:, 0, 0], k[:, 0, 1:], k[:, 1:, 0] = trace, skew, skew
    k[:, 1:, 1:] = m + m.transpose(0, 2, 1) - trace[:, None, None] * np.eye(3)
    quats: Array = np.linalg.eigh(k)[1][:, :, -1]
    return np.where(quats[:, :1] < 0.0, -quats, quats)


def _command(ask: Ask, now: int, *, joint: bool) -> Command:
    stamp = now - 200_000_000 if ask.kind == "stale" else now
    numbers = np.array(ask.numbers).reshape(ARMS, 7)
    width = 0.04 + 0.08 * numbers[:, 6]
    if joint and ask.kind == "joint":
        q = np.array(HOME) + numbers * 1.5
        rates = None if ask.speed == 0.0 else 3.0 * ask.speed * numbers[:, ::-1]
        return JointCommand(q, width, stamp, rates)
    reach = {"near": 0.05, "huge": 1e6}.get(ask.kind, 0.6)
    position = np.array([0.5, 0.0, 0.3]) + reach * numbers[:, :3]
    turn = quat_from_rotvec(numbers[:, 3:6] * (0.2 if ask.kind == "near" else 1.5))
    quat = quat_multiply(turn, np.tile(GRIPPER_DOWN, (ARMS, 1)))
    pose = np.concatenate([position, quat], axis=1)
    if ask.kind == "nan":
        pose[1, int(3.5 + 3.4 * ask.numbers[0])] = np.nan if ask.numbers[1] > 0 else np.inf
    twist = None if ask.speed == 0.0 else 2.0 * ask.speed * numbers[:, 1:]
    return CartesianCommand(pose, width, stamp, twist)
