"""The safety layer in joint space, on a kinematic gantry and on the simulated arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from test_safe_robot import goal, make_limits

from robot_rl.drivers.joint_setpoint import JointLimiter
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.safe_robot import PERIOD_NS, SafeRobot
from robot_rl.errors import RobotFault, SafetyError, SpecError
from robot_rl.interfaces import Capability, Kinematics, Robot
from robot_rl.limits import Limits
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import Array, CartesianCommand, Command, JointCommand, LimitStage, Scene

DT = PERIOD_NS / 1e9
START = [0.5, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0]
WIDTH = np.array([0.04])


def limiter(*, clip: float = 9.0, **changes: object) -> JointLimiter:
    kinematics = FakeRobot(joint=True).kinematics
    assert kinematics is not None
    made = JointLimiter(make_limits(velocity=9.0, **changes), kinematics, 0, clip, DT)
    made.seed(START)
    return made


def safe(**changes: object) -> SafeRobot:
    inner = FakeRobot(joint=True, speed=1e3, angular_speed=1e3)
    robot = SafeRobot(inner, (make_limits(**changes),))
    robot.connect()
    return robot


def simulated() -> Robot:
    bundle = make(joint_control=True)
    assert bundle.world is not None
    bundle.world.build(Scene(""))
    bundle.robot.connect()
    bundle.robot.move_to(goal(0.5, 0.0, 0.25))
    return bundle.robot


def send(robot: Robot, command: Command, periods: int) -> None:
    for _ in range(periods):
        now = robot.clock.now_ns()
        robot.command(replace(command, stamp_ns=now))
        robot.clock.sleep_until(now + 5 * PERIOD_NS)


def test_a_goal_is_reached_exactly_and_without_overshoot() -> None:
    arm = limiter()
    wanted = [0.6, 0.1, 0.25, 0.1, -0.2, 0.3, 1.0]
    arm.follow(wanted)
    way = []
    q = START
    for _ in range(100):
        q, velocity = arm.step(q, [0.0] * 7)
        way.append(q)
    assert np.allclose(way[-1], wanted, atol=1e-12)
    assert not any(velocity)
    assert arm.stage is LimitStage.NONE
    assert arm.resting_at(q, velocity)
    heading = np.sign(np.subtract(wanted, START))
    assert (np.diff(way, axis=0) * heading >= -1e-12).all()


def test_a_moving_goal_is_followed_without_lag() -> None:
    rates = np.array([0.1, -0.05, 0.02, 0.2, 0.0, 0.1, -0.3])
    behind = {}
    for fed in (True, False):
        arm, q, late = limiter(), START, []
        for tick in range(60):
            if tick % 5 == 0:
                arm.follow((START + tick * DT * rates).tolist(), rates.tolist() if fed else None)
            q, _ = arm.step(q, [0.0] * 7)
            late.append(np.abs(START + (tick + 1) * DT * rates - q).max())
        behind[fed] = max(late[20:])
    assert behind[True] < 1e-9
    assert behind[False] > 0.01


def test_feed_forward_is_limited_and_ends_at_the_wall() -> None:
    robot = safe()
    fast = np.array([[50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    q = robot.read().joint_setpoint
    assert q is not None
    before = q
    for _ in range(40):
        send(robot, JointCommand(before, WIDTH, 0, fast), 1)
        state = robot.read()
        assert state.joint_setpoint is not None
        assert np.abs(state.joint_setpoint - before).max() <= 0.4 * 0.1 + 1e-9  # velocity x period
        before = state.joint_setpoint
    assert 0.69 < robot.read().setpoint[0, 0] <= 0.7 + 1e-9
    assert robot.read().limiting_stage is LimitStage.WORKSPACE


def test_a_blocked_joint_keeps_its_setpoint_at_measured_plus_clip() -> None:
    arm = limiter(clip=0.02)
    arm.follow([0.6, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0])
    for _ in range(50):
        q, _ = arm.step(START, [0.0] * 7)
    assert q[0] == pytest.approx(START[0] + 0.02, abs=1e-9)
    assert arm.stage is LimitStage.FORCE


def test_a_joint_stops_before_its_end() -> None:
    ends = tuple(at + 0.3 for at in START)
    arm = limiter(joint_high=ends)
    stage = arm.follow([0.5, 0.0, 0.3, 0.0, 0.0, 0.0, 3.0])
    assert stage is LimitStage.JOINT
    q = START
    for _ in range(100):
        q, _ = arm.step(q, [0.0] * 7)
        assert q[6] <= ends[6] - 0.05 + 1e-12
    assert q[6] == pytest.approx(ends[6] - 0.05)


def test_a_cartesian_goal_reaches_its_pose_through_the_joints() -> None:
    robot = simulated()
    wanted = goal(0.55, 0.1, 0.2)
    send(robot, CartesianCommand(wanted, WIDTH, 0), 25)
    state = robot.read()
    assert np.abs(state.pose - wanted).max() < 1e-3
    assert state.limiting_stage is LimitStage.NONE
    send(robot, CartesianCommand(goal(9.0, 0.1, 0.2), WIDTH, 0), 40)
    state = robot.read()
    assert state.limiting_stage is LimitStage.WORKSPACE
    assert 0.69 < state.setpoint[0, 0] <= 0.7 + 1e-9
    assert state.fault == ""


def test_a_moves_end_is_inside_and_in_reach_or_refused() -> None:
    robot = simulated()
    before = robot.read().joint_setpoint
    with pytest.raises(SafetyError, match="outside the workspace of arm 0"):
        robot.move_to(goal(0.5, 0.0, 0.9))
    wide = make_limits(workspace_high=(2.0, 0.3, 0.5))
    far = SafeRobot(robot._inner, (wide,))  # type: ignore[attr-defined]
    far.connect()
    with pytest.raises(RobotFault, match="out of reach by"):
        far.move_to(goal(1.5, 0.0, 0.3))
    assert np.array_equal(robot.read().joint_setpoint, before)  # type: ignore[arg-type]


class Claims(FakeRobot):
    """Claims what a subclass says."""

    claimed = Capability.JOINT
    offered: Kinematics | None = None

    @property
    def capabilities(self) -> Capability:
        return self.claimed

    @property
    def kinematics(self) -> Kinematics | None:  # type: ignore[override]
        return self.offered

    @property
    def gains(self) -> Mapping[str, float]:
        return {"translational_stiffness": 1.0, "translational_clip": 1.0}


def test_what_a_robot_claims_must_be_one_space_with_its_kinematics() -> None:
    limits: tuple[Limits, ...] = (make_limits(),)
    with pytest.raises(SpecError, match="must offer kinematics"):
        SafeRobot(Claims(joint=True), limits).connect()
    both = Claims()
    both.claimed = Capability.JOINT | Capability.CARTESIAN_IMPEDANCE
    with pytest.raises(SafetyError, match="valid: one of them"):
        SafeRobot(both, limits)


def test_the_tool_keeps_its_own_speed_when_joints_could_go_faster() -> None:
    robot = safe(velocity=0.1)
    wanted: Array = np.array([[0.65, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0]])
    at = robot.read().setpoint[0, :3]
    for _ in range(20):
        send(robot, JointCommand(wanted, WIDTH, 0), 1)
        now = robot.read().setpoint[0, :3]
        assert np.linalg.norm(now - at) <= 0.1 * 0.1 + 1e-9
        at = now
