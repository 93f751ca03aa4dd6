"""The fakes check what they are given, as a real part would."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.tasks.pick_cube import PickCube
from robot_rl.errors import PoisonedDataError, RobotFault, SpecError
from robot_rl.interfaces import Clock, Robot, World
from robot_rl.testing.fakes import FakeRobot, FakeWorld, fake_bundle
from robot_rl.types import CartesianCommand, Scene


def connected() -> FakeRobot:
    robot = FakeRobot()
    robot.connect()
    return robot


def test_they_are_what_they_stand_for() -> None:
    robot = FakeRobot()
    assert isinstance(robot, Robot)
    assert isinstance(robot.clock, Clock)
    assert isinstance(FakeWorld(), World)


def test_two_arms_carry_in_the_world_frame_what_their_own_bases_see_elsewhere() -> None:
    """The second arm stands at (1, 0, 0) and looks back: its own +x is the world's -x."""
    bases = np.array([[0.0, 0, 0, 1, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 1]])
    world = FakeWorld()
    robot = FakeRobot(world, n_arms=2, base_poses=bases, speed=10.0)
    world.build(Scene("", objects=("cube",)))
    robot.connect()
    world.set_object_pose("cube", np.array([0.7, 0.0, 0.3, 1, 0, 0, 0]))
    goal = robot.read().setpoint
    goal[0, 0], goal[1, 0] = 0.4, 0.3  # in the world at x = 0.4 and 0.7
    for width, shift in ((0.08, 0.0), (0.0, 0.0), (0.0, 0.1)):
        goal[1, 0] = 0.3 + shift
        robot.command(CartesianCommand(goal, np.array([0.08, width]), robot.clock.now_ns()))
        robot.clock.sleep_until(robot.clock.now_ns() + 100_000_000)
    assert np.allclose(world.object_pose("cube")[:3], [0.6, 0.0, 0.3])


def test_the_setpoint_runs_at_its_speed() -> None:
    robot = connected()
    state = robot.read()
    goal = state.pose.copy()
    goal[0, 0] += 0.2
    robot.command(CartesianCommand(goal, state.gripper_width, state.stamp_ns))
    robot.clock.sleep_until(100_000_000)
    assert robot.read().setpoint[0, 0] - state.pose[0, 0] == pytest.approx(0.05)
    assert robot.read().twist[0, 0] == pytest.approx(0.5)


def test_bad_commands_are_refused() -> None:
    robot = connected()
    state = robot.read()
    with pytest.raises(SpecError, match="shape"):
        robot.command(CartesianCommand(state.pose[0], state.gripper_width, 0))
    with pytest.raises(PoisonedDataError):
        robot.command(CartesianCommand(state.pose * np.nan, state.gripper_width, 0))
    with pytest.raises(SpecError, match="length"):
        robot.command(CartesianCommand(state.pose * 2, state.gripper_width, 0))
    with pytest.raises(SpecError, match="future"):
        robot.command(CartesianCommand(state.pose, state.gripper_width, 5))
    robot.fail("reflex")
    with pytest.raises(RobotFault, match="reflex"):
        robot.command(CartesianCommand(state.pose, state.gripper_width, 0))
    with pytest.raises(RobotFault, match="connect"):
        FakeRobot().read()


def test_the_world_knows_its_scene() -> None:
    world = FakeWorld()
    with pytest.raises(SpecError, match="build"):
        world.object_pose("cube")
    world.build(Scene("", objects=("cube",), joints=("slide",)))
    with pytest.raises(SpecError, match="did you mean 'cube'"):
        world.object_pose("cub")
    with pytest.raises(SpecError, match="shape"):
        world.set_object_pose("cube", np.zeros(3))
    world.set_joint_position("slide", 0.1)
    assert world.joint_position("slide") == 0.1
    with pytest.raises(SpecError, match="already built"):
        world.build(Scene(""))


def test_a_closing_gripper_carries_what_is_beside_it() -> None:
    env = RobotEnv(fake_bundle(), PickCube())
    env.reset(seed=0)
    for _ in range(40):
        now = env.step(env.expert_action())
        if now.terminated:
            break
    assert now.success == 1
