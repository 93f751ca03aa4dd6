"""Actions to commands and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rl.envs.actions import AXES, ActionConfig, TwistActions
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.geometry import GRIPPER_DOWN, pose_difference, quat_from_rotvec, quat_multiply
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import Array, CartesianCommand, RobotState

RANGE = (np.zeros(2), np.full(2, 0.08))


def space_of(config: ActionConfig, n_arms: int = 1) -> TwistActions:
    return TwistActions(config, n_arms, (RANGE[0][:n_arms], RANGE[1][:n_arms]))


def state_at(n_arms: int = 1) -> RobotState:
    robot = FakeRobot(n_arms=n_arms)
    robot.connect()
    return robot.read()


def random_state(rng: np.random.Generator, n_arms: int = 1) -> RobotState:
    """A robot that measures and emits the same random target."""
    turn = quat_from_rotvec(rng.uniform(-0.8, 0.8, (n_arms, 3)))
    quat = quat_multiply(turn, np.tile(GRIPPER_DOWN, (n_arms, 1)))
    position = rng.uniform(-0.5, 0.5, (n_arms, 3))
    return emitted(np.concatenate([position, quat], axis=1), rng.uniform(0.0, 0.08, n_arms))


def emitted(pose: Array, gripper: Array) -> RobotState:
    """A robot that measures and emits exactly this target."""
    return replace(
        state_at(len(pose)),
        pose=pose,
        setpoint=pose,
        gripper_width=gripper,
        gripper_setpoint=gripper,
    )


@pytest.mark.parametrize("frame", ["ee", "base"])
@pytest.mark.parametrize("mode", ["absolute", "velocity"])
@pytest.mark.parametrize("axes", [AXES, ("x", "y", "z", "yaw", "gripper"), ("z", "roll")])
@pytest.mark.parametrize("n_arms", [1, 2])
def test_emitted_goal_gives_the_action_back(
    frame: str, mode: str, axes: tuple[str, ...], n_arms: int
) -> None:
    config = ActionConfig(frame=frame, gripper_mode=mode, axes=axes, gripper_scale=0.01)
    space = space_of(config, n_arms)
    rng = np.random.default_rng(0)
    for _ in range(50):
        before = replace(random_state(rng, n_arms), gripper_setpoint=np.full(n_arms, 0.04))
        action = rng.uniform(-1.0, 1.0, space.dim)
        command = space.project(action, before)
        after = emitted(command.pose, command.gripper)
        np.testing.assert_allclose(space.executed(before, after, action), action, atol=1e-5)


def test_a_ternary_gripper_gives_its_choice_back() -> None:
    space = space_of(ActionConfig(gripper_mode="ternary"))
    for width in (0.0, 0.08):
        for grip, executed in ((-1.0, -1.0), (-0.6, -1.0), (-0.2, 0.0), (0.4, 0.0), (0.9, 1.0)):
            before = emitted(state_at().setpoint, np.array([width]))
            action = np.array([0, 0, 0, 0, 0, 0, grip])
            command = space.project(action, before)
            after = emitted(command.pose, command.gripper)
            assert space.executed(before, after, action)[-1] == executed


def test_a_ternary_gripper_that_was_overruled_tells_what_happened() -> None:
    space = space_of(ActionConfig(gripper_mode="ternary"))
    pose = state_at().setpoint
    asked_to_open = np.array([0, 0, 0, 0, 0, 0, 1.0])
    closed = emitted(pose, np.array([0.0]))
    for width, executed in ((0.08, -1.0), (0.0, 0.0)):
        before = emitted(pose, np.array([width]))
        assert space.executed(before, closed, asked_to_open)[-1] == executed


def test_locked_axes_keep_their_target() -> None:
    space = space_of(ActionConfig(axes=("x", "yaw"), frame="base"))
    before = random_state(np.random.default_rng(1))
    command = space.project(np.array([1.0, -1.0]), before)
    moved = pose_difference(before.setpoint, command.pose, "base")[0]
    np.testing.assert_allclose(moved, [0.02, 0, 0, 0, 0, -0.1], atol=1e-9)
    assert command.gripper == before.gripper_setpoint


def test_the_clip_holds_a_goal_near_the_measured_pose() -> None:
    space = space_of(ActionConfig(translational_clip=0.03))
    at = random_state(np.random.default_rng(2))
    ahead = at
    for _ in range(5):
        command = space.project(np.array([0, 0, 1.0, 0, 0, 0, 1]), ahead)
        ahead = replace(ahead, setpoint=command.pose, gripper_setpoint=command.gripper)
    lead = pose_difference(at.pose, ahead.setpoint, "ee")[0]
    np.testing.assert_allclose(lead, [0, 0, 0.03, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(space.executed(ahead, ahead, np.zeros(7))[:6], 0.0, atol=1e-6)


def test_encoding_a_far_goal_moves_straight_towards_it() -> None:
    space = space_of(ActionConfig(frame="base"))
    at = random_state(np.random.default_rng(3))
    pose = at.pose + np.array([0.4, -0.2, 0.1, 0, 0, 0, 0])
    action = space.encode(at, CartesianCommand(pose, np.array([0.0]), 0))
    np.testing.assert_allclose(action, [1.0, -0.5, 0.25, 0, 0, 0, -1.0], atol=1e-6)


def test_names_scales_and_sizes() -> None:
    space = space_of(ActionConfig(axes=("yaw", "x", "gripper")), 2)
    assert space.dim == 6
    assert sum(width for _, width in space.command_layout) == 16
    assert space.names[:3] == ("arm0.x", "arm0.yaw", "arm0.gripper")
    assert space.scale == (0.02, 0.1, 0.04) * 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_is_refused(value: float) -> None:
    space = space_of(ActionConfig())
    action = np.zeros(7)
    action[3] = value
    with pytest.raises(PoisonedDataError, match=r"index 3 \(roll\)"):
        space.project(action, state_at())


@pytest.mark.parametrize("action", [np.zeros(6), np.zeros((1, 7)), np.zeros(0)])
def test_wrong_shapes_are_refused(action: Array) -> None:
    with pytest.raises(SpecError, match=r"valid: \(7,\)"):
        space_of(ActionConfig()).project(action, state_at())


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("frame", "bse", "did you mean 'base'"),
        ("gripper_mode", "absolut", "did you mean 'absolute'"),
        ("axes", ("x", "yew"), "did you mean 'yaw'"),
        ("axes", (), "empty"),
        ("translation_scale", 0.0, "above 0"),
        ("rotation_scale", float("nan"), "above 0"),
        ("translational_clip", 0.01, "shorter than one step"),
        ("rotational_clip", 0.01, "shorter than one step"),
    ],
)
def test_bad_settings_are_refused(key: str, value: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        ActionConfig(**{key: value})  # type: ignore[arg-type]
