"""Nut-assembly: only a nut round the peg counts, and a dropped one is taken again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.task_tools import heading, pose_down
from robot_rl.envs.tasks.nut_assembly import GRASP, TALL, THICK, NutAssembly, grasp_of
from robot_rl.errors import ConfigError
from robot_rl.geometry import quat_from_yaw, quat_multiply
from robot_rl.types import Array, CartesianCommand, Step

FLIPPED = np.array([0.0, 1.0, 0.0, 0.0])


class Watched:
    """An environment in which the deepest contact of the peg is noted at every physics step, m."""

    def __init__(self) -> None:
        self.env = RobotEnv(make(), NutAssembly())
        world = self.env.world
        assert isinstance(world, SimWorld)
        self._data, self._peg = world.data, world.model.geom("peg").id
        self.penetration, self.touched = 0.0, 0
        world.clock.every(1_000_000, self._note)

    def _note(self) -> None:
        mine = (self._data.contact.geom == self._peg).any(axis=1)
        if mine.any():
            self.touched += 1
            self.penetration = max(self.penetration, -float(self._data.contact.dist[mine].min()))


def finish(env: RobotEnv, step: Step) -> Step:
    while not (step.terminated or step.truncated):
        step = env.step(env.expert_action())
    return step


def test_the_nut_never_sinks_into_the_peg() -> None:
    watched = Watched()
    for seed in range(4):
        step = finish(watched.env, watched.env.reset(seed=seed))
        assert step.success
        assert step.fault == ""
    assert watched.touched > 0
    assert watched.penetration <= 2e-4


@pytest.mark.parametrize("seed", range(3))
def test_a_dropped_nut_is_taken_again(seed: int) -> None:
    env = RobotEnv(make(), NutAssembly(max_steps=200))
    step = env.reset(seed=seed)
    while step.metrics["height"] < 0.05:
        step = env.step(env.expert_action())
        assert not step.terminated
    release = np.zeros(7, np.float32)
    release[6] = 1.0
    for _ in range(8):
        step = env.step(release)
    assert step.metrics["height"] < 0.03
    assert finish(env, step).success


def place(env: RobotEnv, offset: Array, height: float, quat: Array) -> None:
    """The nut's lower face `height` above the table, its axis `offset` (2,) from the peg's."""
    peg = env.world.object_pose("peg")
    at = [*(peg[:2] + offset), height + THICK / 2]
    env.world.set_object_pose("nut", np.array([*at, *quat]))


def test_only_a_nut_round_the_peg_and_down_counts() -> None:
    env = RobotEnv(make(), NutAssembly(peg_yaw=(0.0, 0.0)))
    env.reset(seed=0)
    state = env.robot.read()

    def judged(offset: tuple[float, float], height: float, quat: Array) -> bool:
        place(env, np.array(offset), height, quat)
        outcome = env.task.evaluate(env.world, state)
        assert outcome.terminated is outcome.success
        assert outcome.reward == float(outcome.success)
        return outcome.success

    level, quarter = quat_from_yaw(0.0), quat_from_yaw(math.pi / 2)
    assert judged((0.0, 0.0), 0.0, level)
    assert judged((0.001, -0.001), 0.004, quarter)
    assert judged((0.0, 0.0), 0.0, quat_multiply(level, FLIPPED))
    assert not judged((0.0, 0.0), 0.01, level)
    assert not judged((0.06, 0.0), 0.0, level)
    assert not judged((0.0, 0.0), 0.0, np.array([math.cos(0.2), math.sin(0.2), 0.0, 0.0]))


@pytest.mark.parametrize("turn", [0.35, math.pi / 4])
def test_a_turned_nut_stays_on_the_peg(turn: float) -> None:
    """Dropped on the peg turned by more than the play allows, and pressed: it is not threaded."""
    env = RobotEnv(make(), NutAssembly())
    env.reset(seed=0)
    peg = env.world.object_pose("peg")
    place(env, np.zeros(2), TALL + 0.001, quat_from_yaw(heading(peg[3:]) + turn))
    assert isinstance(env.world, SimWorld)
    data, nut = env.world.data, env.world.model.body("nut").id
    data.xfrc_applied[nut, 2] = -20.0
    lowest = 1.0
    for _ in range(3):
        step = env.step(env.hold())
        lowest = min(lowest, step.metrics["height"])
    assert not step.success
    # It may tip over the edge, for the handle is heavy; its middle never goes down around the peg.
    assert step.metrics["offset"] > 0.004 or lowest > TALL - 0.005


def test_an_aligned_nut_falls_down_the_peg() -> None:
    env = RobotEnv(make(), NutAssembly())
    env.reset(seed=0)
    peg = env.world.object_pose("peg")
    for quarter in range(4):
        yaw = heading(peg[3:]) + quarter * math.pi / 2 + 0.02
        place(env, np.array([0.001, 0.0]), TALL - 0.02, quat_from_yaw(yaw))
        for _ in range(10):
            step = env.step(env.hold())
        assert step.success, quarter


def test_features_see_handle_and_peg() -> None:
    env = RobotEnv(make(), NutAssembly(peg_yaw=(0.1, 0.1), peg_x=(0.5, 0.5), peg_y=(0.1, 0.1)))
    env.reset(seed=0)
    tcp = np.array([0.5, 0.0, 0.1])
    env.robot.move_to(pose_down(tcp, 0.0)[None], np.array([0.08]))
    place(env, np.array([-0.03, -0.05]), 0.02, quat_from_yaw(0.3))
    state = env.robot.read()
    seen = env.task.observe(env.world, state)
    assert sum(width for _, width in env.task.features) == len(seen)
    nut = env.world.object_pose("nut")
    np.testing.assert_allclose(
        grasp_of(nut)[:2], nut[:2] + GRASP * np.array([math.cos(0.3), math.sin(0.3)]), atol=1e-9
    )
    down = np.array([1.0, -1.0, -1.0])
    np.testing.assert_allclose(
        seen[:3], down * (grasp_of(nut) - state.pose[0, :3]) / 0.1, atol=2e-3
    )
    np.testing.assert_allclose(seen[3:6], [math.sin(0.3), math.cos(0.3), 0.2], atol=2e-3)
    np.testing.assert_allclose(seen[6:8], 0.0, atol=2e-3)
    ahead = down * [0.03, 0.05, TALL - 0.02]
    np.testing.assert_allclose(seen[8:11], ahead / 0.1, atol=2e-3)
    np.testing.assert_allclose(seen[11:14], np.tanh(ahead / 0.005), atol=2e-2)
    np.testing.assert_allclose(seen[14:], [math.cos(0.8), -math.sin(0.8)], atol=2e-3)
    place(env, np.array([-0.03, -0.05]), 0.02, quat_multiply(quat_from_yaw(0.3), FLIPPED))
    np.testing.assert_allclose(env.task.observe(env.world, state), seen, atol=1e-6)


def test_the_grip_bears_the_nut() -> None:
    """Taken by its handle and shaken at full speed, the nut neither slips by 5 mm nor tips."""
    env = RobotEnv(make(), NutAssembly())
    step = env.reset(seed=1)
    while step.metrics["height"] < 0.05:
        step = env.step(env.expert_action())
    assert step.state is not None
    start = grasp_of(env.world.object_pose("nut")) - step.state.pose[0, :3]
    pose = step.state.pose[0].copy()
    for period in range(20):
        goal = pose.copy()
        goal[1] += 0.03 * (-1) ** (period // 3)
        action = env.encode(CartesianCommand(goal[None], np.array([0.0]), step.state.stamp_ns))
        step = env.step(action)
        assert step.state is not None
    now = grasp_of(env.world.object_pose("nut")) - step.state.pose[0, :3]
    assert np.linalg.norm(now - start) < 0.005
    assert float(step.state.gripper_width[0]) > 0.015


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"clearance": 0.0001}, "clearance=0.0001"),
        ({"down": 0.04}, "down=0.04"),
        ({"nut_yaw": (0.1, -0.1)}, "nut_yaw"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        NutAssembly(**settings)  # type: ignore[arg-type]
