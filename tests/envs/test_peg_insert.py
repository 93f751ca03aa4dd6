"""Peg-insert: the expert solves it, and nothing but a true insertion counts as one."""

from __future__ import annotations

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from robot_rl.config import load_config
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.task_tools import heading, pose_down
from robot_rl.envs.tasks.peg_insert import HEIGHT, LENGTH, PegInsert, tip_of
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env
from robot_rl.testing.check_env import check_env
from robot_rl.types import Array, CartesianCommand

CLEARANCE = 1e-3
EXPERT_SEED = 5000


class Watched:
    """An environment whose peg's deepest penetration is noted at every physics step, m."""

    def __init__(self, task: PegInsert) -> None:
        self.env = RobotEnv(make(), task)
        world = self.env.world
        assert isinstance(world, SimWorld)
        self._data, self._peg = world.data, world.model.geom("peg").id
        self.penetration = 0.0
        self.touched = 0
        world.clock.every(1_000_000, self._note)

    def _note(self) -> None:
        contact = self._data.contact
        mine = (contact.geom == self._peg).any(axis=1)
        if mine.any():
            self.touched += 1
            self.penetration = max(self.penetration, -float(contact.dist[mine].min()))

    def succeeds(self, seed: int, noise: float = 0.0) -> int:
        rng = np.random.default_rng(seed)
        self.env.reset(seed=seed)
        while True:
            action = self.env.expert_action() + noise * rng.standard_normal(7)
            now = self.env.step(action)
            if now.terminated or now.truncated:
                return int(now.success)


@pytest.mark.parametrize(("hole_noise", "noise"), [(0.0, 0.0), (0.0, 0.1), (0.003, 0.0)])
def test_the_expert_inserts_without_sinking_in(hole_noise: float, noise: float) -> None:
    watched = Watched(PegInsert(hole_noise=hole_noise))
    assert sum(watched.succeeds(EXPERT_SEED + i, noise) for i in range(10)) >= 9
    assert watched.touched > 0
    assert watched.penetration <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("hole_noise", [0.0, 0.003])
def test_the_expert_solves_96_of_100(hole_noise: float) -> None:
    watched = Watched(PegInsert(hole_noise=hole_noise))
    assert sum(watched.succeeds(EXPERT_SEED + i) for i in range(100)) >= 96
    assert watched.penetration <= 1e-4


@pytest.mark.parametrize(
    "beyond",
    [(0.2, 0.0), (-0.2, 0.5), (0.0, 0.3), (0.3, -0.3), (-0.6, 0.0), (2.0, 1.0), (0.0, 4.0)],
)
def test_an_offset_beyond_the_clearance_never_inserts(beyond: tuple[float, float]) -> None:
    """Lowered onto the rim beside the hole and pressed with the arm's 20 N for three seconds."""
    watched = Watched(PegInsert(clearance=CLEARANCE))
    env = watched.env
    env.reset(seed=11)
    hole = env.world.object_pose("hole")
    yaw = heading(hole[3:])
    offset = 1e-3 * np.array(beyond) + CLEARANCE * np.sign(beyond)
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    at = hole[:2] + turn @ offset
    deepest, force = -1.0, 0.0
    for period in range(50):
        lowered = HEIGHT + LENGTH + 0.005 - 0.001 * max(0, period - 10)
        goal = pose_down(np.array([*at, lowered]), yaw)
        if period == 0:
            env.robot.move_to(goal[None], np.array([0.02]))
        now = env.robot.clock.now_ns()
        env.robot.command(CartesianCommand(goal[None], np.array([0.02]), now))
        env.robot.clock.sleep_until(now + 100_000_000)
        state = env.robot.read()
        outcome = env.task.evaluate(env.world, state)
        assert not outcome.success
        deepest = max(deepest, outcome.metrics["depth"])
        force = max(force, float(state.wrench[0, 2]))
    assert deepest < 1e-4
    assert force == pytest.approx(20.0, abs=2.0)
    assert watched.penetration <= 1e-4


@pytest.mark.parametrize("force", [20.0, 100.0])
@pytest.mark.parametrize("angle", np.arange(8) * math.pi / 4)
def test_without_an_arm_that_yields_the_contacts_alone_decide(force: float, angle: float) -> None:
    """On a vertical slide the peg falls in when centred and stays on the rim beyond the play."""
    aside = np.array([math.cos(angle), math.sin(angle)])
    aside /= np.abs(aside).max()
    for offset, enters in ((0.3e-3, True), (CLEARANCE + 0.05e-3, False)):
        model = mujoco.MjModel.from_xml_string(_slide_rig(offset * aside, force / 0.2))
        data = mujoco.MjData(model)
        data.qfrc_applied[0] = force
        deepest = 0.0
        for _ in range(2000):
            mujoco.mj_step(model, data)
            if data.ncon:
                deepest = max(deepest, -float(data.contact.dist.min()))
        depth = float(data.qpos[0]) - 4e-4
        assert (depth > 0.02) == enters
        assert deepest <= 1e-4
        if not enters:
            assert depth < 1e-4


def _slide_rig(offset: Array, damping: float) -> str:
    """The task's own block, and its peg at the rim's height on a vertical slide."""
    scene = PegInsert(clearance=CLEARANCE).scene
    x, y = 0.5 + offset[0], offset[1]
    peg = scene.held.replace(
        '<body name="peg" gravcomp="1">',
        f'<body name="peg" pos="{x} {y} {HEIGHT + LENGTH + 4e-4}" quat="0 1 0 0">'
        f'<joint type="slide" axis="0 0 1" damping="{damping}" armature="5"/>',
    )
    return (
        '<mujoco><option timestep="0.001" integrator="Euler" cone="elliptic" impratio="10"/>'
        f'<worldbody><geom type="plane" size="1 1 0.1"/>{scene.mjcf}{peg}</worldbody></mujoco>'
    )


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_a_blow_at_full_speed_neither_sinks_in_nor_trips(seed: int) -> None:
    watched = Watched(PegInsert())
    watched.env.reset(seed=seed)
    down = np.array([0, 0, 1, 0, 0, 0, -1], np.float32)
    for _ in range(15):
        now = watched.env.step(down)
        assert not now.success
        assert now.fault == ""
    assert watched.touched > 0
    assert watched.penetration <= 1e-4


def test_beside_the_block_no_depth_counts() -> None:
    env = RobotEnv(make(), PegInsert(hole_x=(0.5, 0.5), hole_y=(0.0, 0.0), hole_yaw=(0.0, 0.0)))
    env.reset(seed=0)
    state = env.robot.read()

    def judged(x: float, depth: float) -> bool:
        pose = pose_down(np.array([x, 0.0, HEIGHT + LENGTH - depth]), 0.0)[None]
        return env.task.evaluate(env.world, replace(state, pose=pose)).success

    assert judged(0.5, 0.021)
    assert judged(0.5009, 0.021)
    assert not judged(0.5, 0.019)
    assert not judged(0.5013, 0.021)
    assert not judged(0.56, 0.025)


def test_the_peg_is_fixed_to_the_hand() -> None:
    env = RobotEnv(make(), PegInsert())
    for seed in range(3):
        env.reset(seed=seed)
        env.step(np.array([0.5, -0.5, 0, 0.4, 0.3, -0.6, 1], np.float32))
        assert isinstance(env.world, SimWorld)
        data, geom = env.world.data, env.world.model.geom("peg")
        end = data.geom_xpos[geom.id] + geom.size[2] * data.geom_xmat[geom.id].reshape(3, 3)[:, 2]
        np.testing.assert_allclose(tip_of(env.robot.read().pose[0]), end, atol=1e-9)


def test_features_see_the_hole_from_the_tip() -> None:
    env = RobotEnv(make(), PegInsert(hole_x=(0.5, 0.5), hole_y=(0.0, 0.0), hole_yaw=(0.1, 0.1)))
    env.reset(seed=0)
    pose = pose_down(np.array([0.497, 0.002, HEIGHT + LENGTH + 0.01]), 0.0)[None]
    seen = env.task.observe(env.world, replace(env.robot.read(), pose=pose))
    assert sum(width for _, width in env.task.features) == len(seen)
    # The hand looks down: its y and z axes run against the base's.
    np.testing.assert_allclose(seen[:3], [0.03, 0.02, 0.1], atol=1e-6)
    np.testing.assert_allclose(seen[3:6], np.tanh([0.6, 0.4, 2.0]), atol=1e-6)
    np.testing.assert_allclose(seen[6:], [-1.0, math.cos(0.4), math.sin(0.4)], atol=1e-6)


def test_the_error_of_the_observed_hole_lasts_for_an_episode() -> None:
    env = RobotEnv(make(), PegInsert(hole_noise=0.004, start_noise=0.0))
    errors = []
    for seed in (1, 2):
        env.reset(seed=seed)
        state, true = env.robot.read(), env.world.object_pose("hole")[:2]
        seen = [env.task.observe(env.world, state)[:2] for _ in range(2)]
        assert np.array_equal(*seen)
        ahead = (true - tip_of(state.pose[0])[:2]) * [1.0, -1.0]
        errors.append(0.1 * seen[0] - ahead)
    assert all(0.0 < np.abs(error).max() <= 0.0041 for error in errors)
    assert np.abs(errors[0] - errors[1]).max() > 1e-4


def test_resets_vary_with_the_seed_only() -> None:
    env = RobotEnv(make(), PegInsert(hole_noise=0.001))
    runs = []
    for seed in (1, 2, 1):
        rows = [env.reset(seed=seed).obs["state"]]
        rows += [env.step(env.expert_action()).obs["state"] for _ in range(8)]
        runs.append(np.stack(rows))
    assert np.abs(runs[0][0] - runs[1][0]).max() > 0.05
    assert np.array_equal(runs[0], runs[2])


def test_conformance() -> None:
    check_env(make_env(load_config(["task=peg_insert"])))


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"clearance": 0.002}, "clearance=0.002"),
        ({"clearance": 0.0}, "clearance"),
        ({"depth": 0.03}, "depth"),
        ({"hole_noise": -0.1}, "hole_noise"),
        ({"hole_yaw": (0.1, -0.1)}, "hole_yaw"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        PegInsert(**settings)  # type: ignore[arg-type]
