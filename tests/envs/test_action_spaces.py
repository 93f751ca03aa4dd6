"""Every action space, there and back, on random states; rotations against SciPy's or MuJoCo's."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rl.envs.action_joint import JointActions, JointConfig
from robot_rl.envs.action_pose import PoseActions, PoseConfig
from robot_rl.envs.actions import ActionConfig, TwistActions
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.geometry import GRIPPER_DOWN, quat_from_rotvec, quat_multiply
from robot_rl.interfaces import ActionSpace
from robot_rl.testing.fake_arm import FakeKinematics
from robot_rl.testing.fakes import FakeRobot, FakeTask, fake_bundle
from robot_rl.types import Array, CartesianCommand, JointCommand, RobotState

LIMITS = {"low": tuple(np.linspace(-2, -0.5, 7)), "high": tuple(np.linspace(0.5, 2, 7))}
SPACES = {
    "twist": lambda n, r: TwistActions(ActionConfig(), n, r),
    "twist in the base frame": lambda n, r: TwistActions(ActionConfig(frame="base"), n, r),
    "pose": lambda n, r: PoseActions(PoseConfig(), n, r),
    "relative joints": lambda n, r: JointActions(JointConfig(), n, r),
    "absolute joints": lambda n, r: JointActions(JointConfig(kind="absolute", **LIMITS), n, r),
}


def space_of(name: str, n_arms: int) -> ActionSpace:
    space: ActionSpace = SPACES[name](n_arms, (np.zeros(n_arms), np.linspace(0.08, 0.1, n_arms)))
    return space


def random_state(rng: np.random.Generator, n_arms: int) -> RobotState:
    robot = FakeRobot(n_arms=n_arms)
    robot.connect()
    turn = quat_from_rotvec(rng.uniform(-0.4, 0.4, (n_arms, 3)))
    quat = quat_multiply(turn, np.tile(GRIPPER_DOWN, (n_arms, 1)))
    pose = np.concatenate([rng.uniform((0.3, -0.2, 0.1), (0.6, 0.2, 0.5), (n_arms, 3)), quat], 1)
    q = rng.uniform(-0.4, 0.4, (n_arms, 7))
    width = rng.uniform(0.0, 0.08, n_arms)
    return replace(
        robot.read(),
        pose=pose,
        setpoint=pose,
        q=q,
        joint_setpoint=q,
        gripper_width=width,
        gripper_setpoint=width,
    )


def obeyed(state: RobotState, command: CartesianCommand | JointCommand) -> RobotState:
    """The robot emitted exactly what was asked for."""
    moved = (
        {"joint_setpoint": command.q}
        if isinstance(command, JointCommand)
        else {"setpoint": command.pose}
    )
    return replace(state, gripper_setpoint=command.gripper, **moved)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("n_arms", [1, 2])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_what_was_emitted_gives_the_action_back(name: str, n_arms: int, seed: int) -> None:
    space, rng = space_of(name, n_arms), np.random.default_rng(seed)
    state = random_state(rng, n_arms)
    action = rng.uniform(-1, 1, space.dim).astype(np.float32)
    command = space.project(action, state)
    after = obeyed(state, command)
    np.testing.assert_allclose(space.executed(state, after, action), action, atol=2e-5)
    np.testing.assert_allclose(space.encode(state, command), action, atol=2e-5)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("n_arms", [1, 2])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_hold_keeps_the_setpoint(name: str, n_arms: int, seed: int) -> None:
    space, rng = space_of(name, n_arms), np.random.default_rng(seed)
    state = random_state(rng, n_arms)
    hold = space.hold(state)
    kept, present = space.vector(space.project(hold, state)), space.vector(space.setpoint(state))
    assert apart(space, kept, present) < 1e-5
    np.testing.assert_allclose(space.executed(state, state, hold), hold, atol=1e-5)


def apart(space: ActionSpace, one: Array, two: Array) -> float:
    """Largest difference of two command vectors; a quaternion and its negative are one."""
    worst = 0.0
    ends = np.cumsum([width for _, width in space.command_layout])
    for (name, width), end in zip(space.command_layout, ends, strict=True):
        a, b = one[end - width : end], two[end - width : end].copy()
        if "pose" in name and a[3:] @ b[3:] < 0.0:
            b[3:] *= -1.0
        worst = max(worst, float(np.abs(a - b).max()))
    return worst


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("n_arms", [1, 2])
def test_it_describes_itself(name: str, n_arms: int) -> None:
    space = space_of(name, n_arms)
    state = random_state(np.random.default_rng(0), n_arms)
    command = space.project(np.zeros(space.dim), state)
    assert len(space.names) == len(space.scale) == space.dim
    assert len(set(space.names)) == space.dim
    widths = [width for _, width in space.command_layout]
    assert space.vector(command).shape == (sum(widths),)
    grips = [scale for n, scale in zip(space.names, space.scale, strict=True) if "gripper" in n]
    assert grips == pytest.approx(np.linspace(0.08, 0.1, n_arms) / 2), "each arm's own"


@pytest.mark.parametrize("name", SPACES)
def test_nan_and_wrong_shapes_are_refused(name: str) -> None:
    space = space_of(name, 1)
    state = random_state(np.random.default_rng(0), 1)
    bad = np.zeros(space.dim)
    bad[2] = np.nan
    with pytest.raises(PoisonedDataError, match="index 2"):
        space.project(bad, state)
    with pytest.raises(SpecError, match="got shape"):
        space.project(np.zeros(space.dim + 1), state)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_an_absolute_rotation_is_mujocos(seed: int) -> None:
    """quat = exp(0.9 a) ⊗ orientation, by mju_axisAngle2Quat and mju_mulQuat."""
    space, rng = space_of("pose", 1), np.random.default_rng(seed)
    action = rng.uniform(-1, 1, 7)
    command = space.project(action, random_state(rng, 1))
    assert isinstance(command, CartesianCommand)
    turn, quat, vector = np.zeros(4), np.zeros(4), 0.9 * action[3:6]
    angle = float(np.linalg.norm(vector))
    mujoco.mju_axisAngle2Quat(turn, vector / angle, angle)
    mujoco.mju_mulQuat(quat, turn, np.array([0.0, 1.0, 0.0, 0.0]))
    np.testing.assert_allclose(command.pose[0, 3:], quat if quat[0] >= 0 else -quat, atol=1e-9)


@pytest.mark.parametrize("frame", ["ee", "base"])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_relative_twist_is_mujocos(frame: str, seed: int) -> None:
    """A rotation along the axes of the setpoint, or of the base, by MuJoCo's quaternions."""
    space, rng = TwistActions(ActionConfig(frame=frame), 1, (np.zeros(1), np.ones(1))), None
    rng = np.random.default_rng(seed)
    state, action = random_state(rng, 1), rng.uniform(-1, 1, 7)
    command = space.project(action, state)
    turn, quat, shift = np.zeros(4), np.zeros(4), 0.02 * action[:3]
    vector, start = 0.1 * action[3:6], np.ascontiguousarray(state.setpoint[0, 3:])
    angle = float(np.linalg.norm(vector))
    mujoco.mju_axisAngle2Quat(turn, vector / angle, angle)
    if frame == "ee":
        mujoco.mju_mulQuat(quat, start, turn)
        rotated = np.zeros(3)
        mujoco.mju_rotVecQuat(rotated, shift, start)
        shift = rotated
    else:
        mujoco.mju_mulQuat(quat, turn, start)
    np.testing.assert_allclose(command.pose[0, :3], state.setpoint[0, :3] + shift, atol=1e-9)
    np.testing.assert_allclose(command.pose[0, 3:], quat if quat[0] >= 0 else -quat, atol=1e-9)


def test_relative_joints_stay_within_the_clip_of_the_measured_ones() -> None:
    space = space_of("relative joints", 1)
    at = random_state(np.random.default_rng(1), 1)
    state = at
    for _ in range(6):
        command = space.project(np.ones(8), state)
        assert isinstance(command, JointCommand)
        state = replace(state, joint_setpoint=command.q)
    np.testing.assert_allclose(command.q, at.q + 0.15, atol=1e-9)


def test_a_cartesian_goal_needs_kinematics_in_joint_space() -> None:
    state = random_state(np.random.default_rng(1), 1)
    goal = CartesianCommand(state.setpoint, state.gripper_setpoint, 0)
    with pytest.raises(SpecError, match="valid in this action space: JointCommand"):
        space_of("relative joints", 1).encode(state, goal)
    with pytest.raises(SpecError, match="valid in this action space: CartesianCommand"):
        space_of("pose", 1).encode(state, JointCommand(state.q, state.gripper_setpoint, 0))
    solving = JointActions(JointConfig(), 1, (np.zeros(1), np.ones(1)), FakeKinematics())
    assert np.abs(solving.encode(state, goal)).max() <= 1.0


def test_a_scripted_expert_works_in_joint_space() -> None:
    env = RobotEnv(fake_bundle(joint=True), FakeTask(max_steps=60), action=JointConfig())
    now = env.reset(0)
    while not (now.terminated or now.truncated):
        now = env.step(env.expert_action())
    assert now.success == 1


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: PoseConfig(low=(0.5, 0, 0), high=(0.4, 1, 1)), "low < high"),
        (lambda: PoseConfig(rotation_range=2.0), "rotation_range"),
        (lambda: PoseConfig(orientation=(1.0, 1.0, 0.0, 0.0)), "unit quaternion"),
        (lambda: JointConfig(kind="absolut"), "did you mean 'absolute'"),
        (lambda: JointConfig(kind="absolute"), "7 numbers each"),
        (lambda: JointConfig(step=0.2, clip=0.1), "at least a step"),
        (lambda: JointConfig(joints=0), "joints"),
        (lambda: PoseConfig(gripper_mode="slow"), "gripper_mode"),
    ],
)
def test_bad_settings_are_refused(make: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        make()  # type: ignore[operator]


def test_a_robot_with_other_joints_is_refused() -> None:
    space = JointActions(JointConfig(joints=6), 1, (np.zeros(1), np.ones(1)))
    with pytest.raises(SpecError, match=r"env\.action\.joints"):
        space.hold(random_state(np.random.default_rng(0), 1))
