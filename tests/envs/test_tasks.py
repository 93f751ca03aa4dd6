"""Every task: its expert solves it, its resets vary, what counts as success is what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.task_tools import heading, in_tcp, nearest_heading, pose_down
from robot_rl.envs.tasks.drawer_open import DrawerOpen
from robot_rl.envs.tasks.drawer_post import DrawerPost
from robot_rl.envs.tasks.nut_assembly import NutAssembly
from robot_rl.envs.tasks.pick_cube import PickCube
from robot_rl.envs.tasks.reach import Reach
from robot_rl.errors import ConfigError
from robot_rl.geometry import yaw_of
from robot_rl.interfaces import Task
from robot_rl.types import Array

TASKS = [Reach, PickCube, DrawerOpen, DrawerPost, NutAssembly]
EXPERT_SEED = 5000


def succeeds(env: RobotEnv, seed: int, noise: float = 0.0) -> int:
    """Whether the scripted expert, with noise on its actions, solves the episode."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    while True:
        action = env.expert_action() + noise * rng.standard_normal(env.spec.action_dim)
        now = env.step(action)
        if now.terminated or now.truncated:
            return now.success


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_expert_solves_the_task(task: type[Task], noise: float) -> None:
    env = RobotEnv(make(), task())
    assert sum(succeeds(env, EXPERT_SEED + i, noise) for i in range(10)) >= 9


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_expert_solves_96_of_100(task: type[Task]) -> None:
    env = RobotEnv(make(), task())
    assert sum(succeeds(env, EXPERT_SEED + i) for i in range(100)) >= 96


@pytest.mark.parametrize("task", TASKS)
def test_resets_vary_with_the_seed_only(task: type[Task]) -> None:
    env = RobotEnv(make(), task())
    firsts = [env.reset(seed=seed).obs["state"] for seed in (1, 2, 1)]
    assert np.abs(firsts[0] - firsts[1]).max() > 0.05
    assert np.array_equal(firsts[0], firsts[2])


@pytest.mark.parametrize("task", TASKS)
def test_doing_nothing_does_not_succeed(task: type[Task]) -> None:
    env = RobotEnv(make(), task())
    idle = np.zeros(7, np.float32)
    idle[6] = 1.0
    for seed in range(3):
        env.reset(seed=seed)
        results = [env.step(idle) for _ in range(task().max_steps)]
        assert not any(result.reward or result.terminated for result in results)
        assert results[-1].truncated


def test_a_cube_thrown_up_is_not_lifted() -> None:
    env = RobotEnv(make(), PickCube())
    env.reset(seed=0)
    env.world.set_object_pose("cube", np.array([0.5, 0.3, 0.3, 1.0, 0.0, 0.0, 0.0]))
    state = env.robot.read()
    outcome = env.task.evaluate(env.world, state)
    assert outcome.metrics["height"] > 0.2
    assert not outcome.success
    tcp = state.pose[0, :3]
    env.world.set_object_pose("cube", np.array([*tcp, 1.0, 0.0, 0.0, 0.0]))
    assert env.task.evaluate(env.world, state).success


def test_features_see_the_cube_from_the_hand() -> None:
    env = RobotEnv(make(), PickCube(start_noise=0.0))
    env.reset(seed=0)
    state = env.robot.read()
    tcp = state.pose[0, :3]

    def features(offset: Array, yaw: float) -> Array:
        quat = [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
        env.world.set_object_pose("cube", np.array([*(tcp + offset), *quat]))
        return env.task.observe(env.world, state)

    # The hand looks down: its y and z axes run against the base's.
    below = features(np.array([0.03, 0.02, -0.1]), 0.3)
    np.testing.assert_allclose(below[:3], [0.3, -0.2, 1.0], atol=1e-3)
    np.testing.assert_allclose(below[4:], [math.cos(1.2), math.sin(1.2)], atol=1e-3)
    quarter = features(np.array([0.03, 0.02, -0.1]), 0.3 + math.pi / 2)
    np.testing.assert_allclose(quarter, below, atol=1e-5)


def test_a_drawer_counts_as_open_from_its_opening_on() -> None:
    env = RobotEnv(make(), DrawerOpen())
    env.reset(seed=0)
    for opening, success in ((0.0, False), (0.149, False), (0.151, True)):
        env.world.set_joint_position("drawer", opening)
        assert env.task.evaluate(env.world, env.robot.read()).success is success


def test_a_pull_beside_the_handle_opens_nothing() -> None:
    env = RobotEnv(make(), DrawerOpen(cabinet_y=(0.05, 0.05), cabinet_yaw=(0.0, 0.0)))
    env.reset(seed=0)
    pull = np.array([-1, 0, 0, 0, 0, 0, -1], np.float32)
    for _ in range(10):
        now = env.step(pull)
    assert now.metrics["opening"] < 0.02


def test_the_handle_moves_with_the_drawer() -> None:
    env = RobotEnv(make(), DrawerOpen())
    env.reset(seed=1)
    before = env.world.object_pose("handle")
    opened = env.world.joint_position("drawer")
    env.world.set_joint_position("drawer", opened + 0.1)
    after = env.world.object_pose("handle")
    away = np.array([math.cos(yaw_of(before[3:])), math.sin(yaw_of(before[3:])), 0.0])
    np.testing.assert_allclose(before[:3] - after[:3], 0.1 * away, atol=1e-6)


def test_tools() -> None:
    for yaw in (-2.0, 0.0, 0.4, 1.5):
        pose = pose_down(np.array([0.1, 0.2, 0.3]), yaw)
        assert heading(pose[3:]) == pytest.approx(yaw)
        assert yaw_of(pose[3:]) == pytest.approx(yaw)
    assert nearest_heading(1.5, math.pi / 2) == pytest.approx(1.5 - math.pi / 2)
    assert nearest_heading(0.1, math.pi / 2, reference=3.0) == pytest.approx(0.1 + math.pi)


def test_in_tcp_is_the_inverse_of_the_pose() -> None:
    env = RobotEnv(make(), Reach())
    env.reset(seed=0)
    state = env.robot.read()
    ahead = in_tcp(state, state.pose[0, :3] + np.array([0.0, 0.0, -0.1]))
    np.testing.assert_allclose(ahead, [0.0, 0.0, 0.1], atol=1e-3)


@pytest.mark.parametrize(
    ("make_task", "hint"),
    [
        (lambda: PickCube(cube_x=(0.6, 0.4)), "cube_x"),
        (lambda: PickCube(lift=0.0), "lift"),
        (lambda: PickCube(max_steps=0), "max_steps"),
        (lambda: Reach(tolerance=-1.0), "tolerance"),
        (lambda: DrawerOpen(opening=0.5), "opening"),
        (lambda: DrawerOpen(opening=0.005), "ajar"),
        (lambda: Reach(target_z=(0.1, math.inf)), "target_z"),
    ],
)
def test_bad_settings_are_refused(make_task: object, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        make_task()  # type: ignore[operator]
