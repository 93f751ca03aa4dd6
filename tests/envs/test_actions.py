"""Actions to commands and back."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.envs.actions import AXES, ActionConfig, ActionSpace, Target
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.geometry import GRIPPER_DOWN, pose_difference, quat_from_rotvec, quat_multiply
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import Array, RobotState

RANGE = (0.0, 0.08)


def state_at(n_arms: int = 1) -> RobotState:
    robot = FakeRobot(n_arms=n_arms)
    robot.connect()
    return robot.read()


def random_target(rng: np.random.Generator, n_arms: int) -> Target:
    turn = quat_from_rotvec(rng.uniform(-0.8, 0.8, (n_arms, 3)))
    quat = quat_multiply(turn, np.tile(GRIPPER_DOWN, (n_arms, 1)))
    position = rng.uniform(-0.5, 0.5, (n_arms, 3))
    return Target(np.concatenate([position, quat], axis=1), rng.uniform(0.0, 0.08, n_arms))


def reading(target: Target) -> RobotState:
    """A robot that measures and emits exactly this target."""
    state = state_at(len(target.pose))
    return RobotState(
        state.stamp_ns,
        state.boot_id,
        state.q,
        state.dq,
        state.tau,
        target.pose,
        state.twist,
        state.wrench,
        target.gripper,
        target.pose,
        target.gripper,
    )


@pytest.mark.parametrize("frame", ["ee", "base"])
@pytest.mark.parametrize("mode", ["absolute", "velocity"])
@pytest.mark.parametrize("axes", [AXES, ("x", "y", "z", "yaw", "gripper"), ("z", "roll")])
@pytest.mark.parametrize("n_arms", [1, 2])
def test_emitted_goal_gives_the_action_back(
    frame: str, mode: str, axes: tuple[str, ...], n_arms: int
) -> None:
    config = ActionConfig(frame=frame, gripper_mode=mode, axes=axes, gripper_scale=0.01)
    space = ActionSpace(config, n_arms, RANGE)
    rng = np.random.default_rng(0)
    for _ in range(50):
        previous = random_target(rng, n_arms)
        previous = Target(previous.pose, np.full(n_arms, 0.04))
        action = rng.uniform(-1.0, 1.0, space.dim)
        command = space.project(action, previous, reading(previous))
        emitted = reading(Target(command.pose, command.gripper))
        np.testing.assert_allclose(space.executed(previous, emitted, action), action, atol=1e-5)


def test_a_ternary_gripper_gives_its_choice_back() -> None:
    space = ActionSpace(ActionConfig(gripper_mode="ternary"), 1, RANGE)
    for width in RANGE:
        for grip, executed in ((-1.0, -1.0), (-0.6, -1.0), (-0.2, 0.0), (0.4, 0.0), (0.9, 1.0)):
            pose = state_at().setpoint
            previous = Target(pose, np.array([width]))
            action = np.array([0, 0, 0, 0, 0, 0, grip])
            command = space.project(action, previous, reading(previous))
            emitted = reading(Target(command.pose, command.gripper))
            assert space.executed(previous, emitted, action)[-1] == executed


def test_a_ternary_gripper_that_was_overruled_tells_what_happened() -> None:
    space = ActionSpace(ActionConfig(gripper_mode="ternary"), 1, RANGE)
    pose = state_at().setpoint
    asked_to_open = np.array([0, 0, 0, 0, 0, 0, 1.0])
    emitted = reading(Target(pose, np.array([0.0])))
    for width, executed in ((0.08, -1.0), (0.0, 0.0)):
        previous = Target(pose, np.array([width]))
        assert space.executed(previous, emitted, asked_to_open)[-1] == executed


def test_locked_axes_keep_their_target() -> None:
    space = ActionSpace(ActionConfig(axes=("x", "yaw"), frame="base"), 1, RANGE)
    previous = random_target(np.random.default_rng(1), 1)
    command = space.project(np.array([1.0, -1.0]), previous, reading(previous))
    moved = pose_difference(previous.pose, command.pose, "base")[0]
    np.testing.assert_allclose(moved, [0.02, 0, 0, 0, 0, -0.1], atol=1e-9)
    assert command.gripper == previous.gripper


def test_the_leash_holds_a_goal_near_the_measured_pose() -> None:
    space = ActionSpace(ActionConfig(leash_translation=0.03), 1, RANGE)
    at = random_target(np.random.default_rng(2), 1)
    measured = reading(at)
    target = at
    for _ in range(5):
        command = space.project(np.array([0, 0, 1.0, 0, 0, 0, 1]), target, measured)
        target = Target(command.pose, command.gripper)
    ahead = pose_difference(at.pose, target.pose, "ee")[0]
    np.testing.assert_allclose(ahead, [0, 0, 0.03, 0, 0, 0], atol=1e-9)
    stuck = space.executed(target, reading(target), np.zeros(7))
    np.testing.assert_allclose(stuck[:6], 0.0, atol=1e-6)


def test_encoding_a_far_goal_moves_straight_towards_it() -> None:
    space = ActionSpace(ActionConfig(frame="base"), 1, RANGE)
    at = random_target(np.random.default_rng(3), 1)
    goal = Target(at.pose + np.array([0.4, -0.2, 0.1, 0, 0, 0, 0]), np.array([0.0]))
    action = space.encode(at, goal)
    np.testing.assert_allclose(action, [1.0, -0.5, 0.25, 0, 0, 0, -1.0], atol=1e-6)


def test_names_scales_and_sizes() -> None:
    space = ActionSpace(ActionConfig(axes=("yaw", "x", "gripper")), 2, RANGE)
    assert space.dim == 6
    assert sum(width for _, width in space.command_layout) == 16
    assert space.names[:3] == ("arm0.x", "arm0.yaw", "arm0.gripper")
    assert space.scale == (0.02, 0.1, 0.04) * 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_is_refused(value: float) -> None:
    space = ActionSpace(ActionConfig(), 1, RANGE)
    action = np.zeros(7)
    action[3] = value
    state = state_at()
    with pytest.raises(PoisonedDataError, match=r"index 3 \(roll\)"):
        space.project(action, Target.of(state), state)


@pytest.mark.parametrize("action", [np.zeros(6), np.zeros((1, 7)), np.zeros(0)])
def test_wrong_shapes_are_refused(action: Array) -> None:
    state = state_at()
    with pytest.raises(SpecError, match=r"valid: \(7,\)"):
        ActionSpace(ActionConfig(), 1, RANGE).project(action, Target.of(state), state)


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("frame", "bse", "did you mean 'base'"),
        ("gripper_mode", "absolut", "did you mean 'absolute'"),
        ("axes", ("x", "yew"), "did you mean 'yaw'"),
        ("axes", (), "empty"),
        ("translation_scale", 0.0, "above 0"),
        ("rotation_scale", float("nan"), "above 0"),
        ("leash_translation", 0.01, "shorter than one step"),
        ("leash_rotation", 0.01, "shorter than one step"),
    ],
)
def test_bad_settings_are_refused(key: str, value: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        ActionConfig(**{key: value})  # type: ignore[arg-type]
