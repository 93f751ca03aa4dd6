"""Drawer-post: two ways round, whose mean neither passes the post nor opens the drawer."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.tasks.drawer_post import DrawerPost
from robot_rl.errors import ConfigError
from robot_rl.geometry import pose_inverse, pose_multiply
from robot_rl.types import Array, Step

CATCH, FRICTION = 12.0, 2.0


def run(env: RobotEnv, seed: int) -> tuple[Array, Step]:
    """The way of the hand in the cabinet's frame (n, 3) m, and the last step of the expert."""
    step = env.reset(seed=seed)
    home = pose_inverse(env.world.object_pose("cabinet"))
    way = []
    while not (step.terminated or step.truncated):
        step = env.step(env.expert_action())
        assert step.state is not None
        way.append(pose_multiply(home, step.state.pose[0])[:3])
    return np.array(way), step


def test_a_coin_of_the_reset_picks_the_side() -> None:
    env = RobotEnv(make(), DrawerPost(dwell=0.0))
    sides = []
    for seed in (*range(6), 0):
        way, last = run(env, seed)
        assert last.success
        assert last.metrics["post_moved"] < 1e-3
        beside = way[np.abs(way[:, 0] + 0.19).argmin(), 1]
        assert abs(beside) > 0.12
        sides.append(np.sign(beside))
    assert set(sides) == {-1.0, 1.0}
    assert sides[0] == sides[-1]


def mean_of_both_sides(env: RobotEnv) -> Array:
    actions = []
    for side in (-1.0, 1.0):
        env.task._side = side  # type: ignore[attr-defined]
        actions.append(env.expert_action())
    assert np.abs(actions[0] - actions[1]).max() > 0.5
    return np.mean(actions, axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_both_ways_hits_the_post(seed: int) -> None:
    env = RobotEnv(make(), DrawerPost())
    step = env.reset(seed=seed)
    while not (step.terminated or step.truncated):
        step = env.step(mean_of_both_sides(env))
    assert step.terminated
    assert not step.success
    assert step.reward == 0.0
    assert step.metrics["post_moved"] > 0.008
    assert step.fault == ""


def test_the_mean_of_pulling_and_waiting_does_not_open() -> None:
    """At the handle, 15 parts of a pull and 85 of waiting: the lead stays below the catch."""
    patient, eager = DrawerPost(dwell=0.999999), DrawerPost(dwell=0.0)
    env = RobotEnv(make(), patient)
    env.reset(seed=0)
    for _ in range(60):
        step = env.step(env.expert_action())
    assert float(step.state.gripper_width[0]) < 0.02  # type: ignore[union-attr]

    def pull() -> Array:
        state = env.robot.read()
        eager._side = patient._side
        return env.encode(eager.expert(env.world, state))

    assert pull()[0] == -1.0
    for _ in range(40):
        step = env.step(0.85 * env.expert_action() + 0.15 * pull())
        assert step.metrics["opening"] < 2e-4
    for _ in range(15):
        if not step.terminated:
            step = env.step(pull())
    assert step.success


@pytest.mark.parametrize(("force", "opens"), [(13.0, False), (15.0, True)])
def test_the_catch_holds_up_to_its_force(force: float, opens: bool) -> None:
    env = RobotEnv(make(), DrawerPost(catch=CATCH))
    assert (force > CATCH + FRICTION) == opens
    env.reset(seed=0)
    assert isinstance(env.world, SimWorld)
    env.world.data.qfrc_applied[env.world.dof_address("drawer")] = force
    for _ in range(5):
        step = env.step(env.hold())
    assert (step.metrics["opening"] > 0.01) == opens


def test_a_post_that_fell_ends_the_episode_even_with_the_drawer_open() -> None:
    env = RobotEnv(make(), DrawerPost())
    env.reset(seed=0)
    env.world.set_joint_position("drawer", 0.07)
    assert env.task.evaluate(env.world, env.robot.read()).success
    post = env.world.object_pose("post")
    env.world.set_object_pose("post", post + np.array([0.01, 0, 0, 0, 0, 0, 0]))
    outcome = env.task.evaluate(env.world, env.robot.read())
    assert (outcome.success, outcome.terminated, outcome.reward) == (False, True, 0.0)


def test_the_post_stands_by_itself() -> None:
    env = RobotEnv(make(), DrawerPost())
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(60):
            step = env.step(env.hold())
        assert step.metrics["post_moved"] < 1e-3


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"opening": 0.1}, "opening=0.1"),
        ({"catch": 17.0}, "catch=17.0"),
        ({"dwell": 1.0}, "dwell=1.0"),
        ({"cabinet_x": (0.7, 0.6)}, "drawer_post: cabinet_x"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        DrawerPost(**settings)  # type: ignore[arg-type]
