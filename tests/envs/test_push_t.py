"""Push-T: the planner covers the target, the features and rewards say what they should."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.config import load_config
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.envs.actions import ActionConfig
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.task_tools import pose_down
from robot_rl.envs.tasks.push_t import HEIGHT, ROD_HEIGHT, PushT
from robot_rl.envs.tasks.push_t_shape import BAR, STEM
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env
from robot_rl.geometry import quat_from_yaw
from robot_rl.testing.check_env import check_env
from robot_rl.types import Array

PLANAR = ActionConfig(axes=("x", "y"))
EXPERT_SEED = 5000


def run_expert(env: RobotEnv, seed: int, noise: float = 0.0) -> float:
    """Coverage at the end of an episode of the expert."""
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    while True:
        action = env.expert_action() + noise * rng.standard_normal(env.spec.action_dim)
        now = env.step(action)
        if now.terminated or now.truncated:
            assert now.fault == ""
            return float(now.metrics["coverage"])


@pytest.mark.parametrize(
    ("action", "noise", "episodes"), [(PLANAR, 0.0, 10), (None, 0.0, 3), (PLANAR, 0.2, 3)]
)
def test_the_expert_covers_the_target(
    action: ActionConfig | None, noise: float, episodes: int
) -> None:
    env = RobotEnv(make(), PushT(), action=action)
    covered = [run_expert(env, EXPERT_SEED + i, noise) for i in range(episodes)]
    assert np.mean(covered) >= 0.9


@pytest.mark.slow
def test_the_expert_solves_96_of_100() -> None:
    env = RobotEnv(make(), PushT(), action=PLANAR)
    covered = [run_expert(env, EXPERT_SEED + i) for i in range(100)]
    assert np.mean(covered) >= 0.9
    assert sum(share >= 0.9 for share in covered) >= 96


def test_the_block_rests_and_slides_flat() -> None:
    env = RobotEnv(make(), PushT(), action=PLANAR)
    env.reset(seed=1)
    before = env.world.object_pose("block")
    for _ in range(20):
        env.step(np.zeros(2, np.float32))
    after = env.world.object_pose("block")
    np.testing.assert_allclose(after[:2], before[:2], atol=1e-4)
    run_expert(env, 1)
    pose = env.world.object_pose("block")
    assert abs(pose[2]) < 1e-3
    assert math.hypot(pose[4], pose[5]) < 0.01
    assert HEIGHT > ROD_HEIGHT


def test_judgement_and_rewards() -> None:
    target = np.array([0.5, 0.0, -math.pi / 4])
    for reward, wanted in (("sparse", 1.0), ("coverage", 0.0), ("displacement", 0.0)):
        env = RobotEnv(make(), PushT(reward=reward, target=tuple(target)), action=PLANAR)
        env.reset(seed=0)
        state = env.robot.read()
        start = env.task.evaluate(env.world, state)
        covered, apart = start.metrics["coverage"], start.metrics["displacement"]
        first = {"sparse": 0.0, "coverage": covered - 1.0, "displacement": -apart}[reward]
        assert not start.success
        assert apart > 0.01
        assert start.reward == pytest.approx(first)
        half = -math.pi / 8
        quat = [math.cos(half), 0.0, 0.0, math.sin(half)]
        env.world.set_object_pose("block", np.array([*target[:2], 0.0, *quat]))
        done = env.task.evaluate(env.world, state)
        assert done.success
        assert done.reward == pytest.approx(wanted, abs=1e-6)


def test_features_see_block_and_target_from_the_rod() -> None:
    env = RobotEnv(make(), PushT(target=(0.5, 0.05, 0.4)), action=PLANAR)
    env.reset(seed=0)
    env.world.set_object_pose("block", np.array([0.45, -0.02, 0.0, 1.0, 0.0, 0.0, 0.0]))
    pose = pose_down(np.array([0.4, 0.0, 0.07]), 0.0)[None]
    seen = env.task.observe(env.world, replace(env.robot.read(), pose=pose))
    # The hand looks down: its y axis runs against the base's.
    np.testing.assert_allclose(seen[:6], [0.5, 0.2, 1.0, -0.5, 0.5, -0.7], atol=1e-6)
    np.testing.assert_allclose(seen[6:10], [1.0, 0.0, math.cos(0.4), math.sin(0.4)], atol=1e-6)


def test_features_see_the_rod_from_the_block() -> None:
    env = RobotEnv(make(), PushT(target=(0.5, 0.05, 0.4)), action=PLANAR)
    env.reset(seed=0)
    bar_high, bottom = BAR[3], -STEM[1]

    def seen(rod: tuple[float, float], yaw: float) -> Array:
        block = np.array([0.45, -0.02, 0.0, *quat_from_yaw(yaw)])
        env.world.set_object_pose("block", block)
        pose = pose_down(np.array([*rod, 0.07]), 0.0)[None]
        return env.task.observe(env.world, replace(env.robot.read(), pose=pose))[10:]

    for rod, yaw, wanted in (
        ((0.45, 0.06), 0.0, [0.0, 0.8, 0.5, 0.7, (0.08 - bar_high) / 0.05, 0.0, 1.0]),
        ((0.30, 0.00), 0.0, [-1.5, 0.2, 0.5, 0.7, 1.8, -1.0, 0.0]),
        ((0.45, 0.06), math.pi, [0.0, -0.8, -0.5, -0.7, (0.08 - bottom) / 0.05, 0.0, -1.0]),
        ((0.37, -0.02), math.pi / 2, [0.0, 0.8, 0.7, -0.5, (0.08 - bar_high) / 0.05, 0.0, 1.0]),
    ):
        np.testing.assert_allclose(seen(rod, yaw), wanted, atol=1e-6)


def test_resets_vary_with_the_seed_only_and_the_expert_is_deterministic() -> None:
    env = RobotEnv(make(), PushT(), action=PLANAR)
    runs = []
    for seed in (1, 2, 1):
        rows = [env.reset(seed=seed).obs["state"]]
        rows += [env.step(env.expert_action()).obs["state"] for _ in range(25)]
        runs.append(np.stack(rows))
    assert np.abs(runs[0][0] - runs[1][0]).max() > 0.05
    assert np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize(("experiment", "dim"), [("none", 7), ("planar", 2)])
def test_conformance(experiment: str, dim: int) -> None:
    env = make_env(load_config(["task=push_t", f"experiment={experiment}"]))
    assert env.spec.action_dim == dim
    check_env(env)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"reward": "coverag"}, "did you mean 'coverage'"),
        ({"success_coverage": 1.5}, "success_coverage"),
        ({"block_yaw": (1.0, -1.0)}, "block_yaw"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        PushT(**settings)  # type: ignore[arg-type]
