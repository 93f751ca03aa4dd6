"""The T in the plane: exact coverage and distances, ways around it, a model as the physics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.envs.actions import ActionConfig
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.task_tools import pose_down
from robot_rl.envs.tasks.push_t import ROD_HEIGHT, ROD_LENGTH, ROD_RADIUS, PushT, planar
from robot_rl.envs.tasks.push_t_model import push
from robot_rl.envs.tasks.push_t_path import BLOCKED, Detour
from robot_rl.envs.tasks.push_t_planner import HIGH, LOW, PushPlanner
from robot_rl.envs.tasks.push_t_shape import (
    AREA,
    BAR,
    GYRATION,
    OUTLINE,
    STEM,
    coverage,
    displacement,
    nearest,
    to_block,
    to_world,
)
from robot_rl.types import Array, CartesianCommand

PLANAR = ActionConfig(axes=("x", "y"))


def _inside(pose: Array, points: Array) -> Array:
    x, y = to_block(pose, points).T
    bar = (x >= BAR[0]) & (x <= BAR[2]) & (y >= BAR[1]) & (y <= BAR[3])
    stem = (x >= STEM[0]) & (x <= STEM[2]) & (y >= STEM[1]) & (y <= STEM[3])
    return bar | stem


def test_coverage_agrees_with_counting_points() -> None:
    rng = np.random.default_rng(0)
    target = np.array([0.5, 0.0, -0.7])
    points = rng.uniform([0.38, -0.12], [0.62, 0.12], (200_000, 2))
    on_target = _inside(target, points)
    for _ in range(20):
        pose = target + rng.uniform(-1, 1, 3) * [0.05, 0.05, 1.5]
        counted = (_inside(pose, points) & on_target).sum() / on_target.sum()
        assert coverage(pose, target) == pytest.approx(counted, abs=0.012)


def test_coverage_of_known_poses() -> None:
    target = np.array([0.4, 0.1, 0.3])
    assert coverage(target, target) == pytest.approx(1.0, abs=1e-12)
    assert coverage(target + np.array([0.0, 0.0, 2 * math.pi]), target) == pytest.approx(
        1.0, abs=1e-9
    )
    assert coverage(target + np.array([0.2, 0.0, 0.0]), target) == 0.0
    # One unit along the bar leaves 3 of the bar's 4; the stems no longer meet.
    shift = to_world(np.array([0.0, 0.0, 0.3]), np.array([0.03, 0.0]))
    assert coverage(target + np.array([*shift, 0.0]), target) == pytest.approx(3 / 7)


def test_the_shape_is_centred_and_measured() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.1, 0.1, (400_000, 2))
    inside = _inside(np.zeros(3), points)
    assert inside.mean() * 0.04 == pytest.approx(AREA, rel=0.02)
    np.testing.assert_allclose(points[inside].mean(0), 0.0, atol=5e-4)
    rms = math.sqrt((points[inside] ** 2).sum(1).mean())
    assert rms == pytest.approx(GYRATION, rel=0.01)
    turned = np.array([0.0, 0.0, 0.4])
    moved = np.linalg.norm(to_world(turned, points[inside]) - points[inside], axis=1)
    expected = math.sqrt((moved**2).mean())
    assert displacement(turned, np.zeros(3)) == pytest.approx(expected, rel=0.01)


def test_distance_to_the_outline() -> None:
    points = np.array([[0.0, 0.1], [0.0, BAR[3] - 0.004], [0.03, 0.0], [0.07, BAR[3] + 0.01]])
    seen = nearest(points)
    expected = [0.1 - BAR[3], -0.004, STEM[3], math.hypot(0.01, 0.01)]
    np.testing.assert_allclose(seen.distance, expected, atol=1e-12)
    np.testing.assert_allclose(seen.normal[0], [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(seen.normal[1], [0.0, 1.0], atol=1e-12)
    on_outline = nearest(0.5 * (OUTLINE + np.roll(OUTLINE, -1, axis=0)))
    np.testing.assert_allclose(on_outline.distance, 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(on_outline.normal, axis=1), 1.0)


def test_the_model_agrees_with_the_physics() -> None:
    """Straight pushes of 4 cm: the T goes where the model says, within a third of its way."""
    env = RobotEnv(
        make(),
        PushT(block_x=(0.5, 0.5), block_y=(0.0, 0.0), block_yaw=(0.0, 0.0), target=(0.5, 0.1, 0.5)),
        action=PLANAR,
    )
    for start, direction in (
        ((-0.05, -0.02), (0.0, 1.0)),
        ((0.0, -0.1), (0.0, 1.0)),
        ((0.035, -0.06), (-1, 0)),
    ):
        env.reset(seed=0)
        block = planar(env.world.object_pose("block"))
        rod = block[:2] + np.array(start)
        at = np.array([*rod, ROD_HEIGHT + ROD_LENGTH])
        env.robot.move_to(pose_down(at, 0.0)[None], np.array([0.02]))
        for _ in range(30):
            now = env.robot.clock.now_ns()
            env.robot.command(CartesianCommand(pose_down(at, 0.0)[None], np.array([0.02]), now))
            at[:2] += 0.002 * np.array(direction)
            env.robot.clock.sleep_until(now + 100_000_000)
        env.robot.clock.sleep_until(env.robot.clock.now_ns() + 200_000_000)
        moved = planar(env.world.object_pose("block"))
        end = env.robot.read().pose[0, :2]
        predicted = push(
            block[None],
            rod[None],
            np.array([direction], np.float64),
            moved,
            radius=ROD_RADIUS,
            longest=float(np.linalg.norm(end - rod)) + 0.004,
            bounds=(LOW, HIGH),
        )
        way = float(displacement(block, moved))
        assert way > 0.015
        assert predicted.error[0] < way / 3


def test_ways_lead_around_the_t() -> None:
    block = np.array([0.5, 0.0, 0.0])
    rod, goal = np.array([0.4, -0.05]), np.array([0.6, -0.05])
    detour = Detour(block, rod, narrow=0.014, wide=0.024, bounds=(LOW, HIGH))
    length = float(detour.lengths(goal[None])[0])
    assert 0.2 < length < 0.35
    for _ in range(10):
        corner = Detour(block, rod, narrow=0.014, wide=0.024, bounds=(LOW, HIGH)).next(goal)
        way = rod + np.linspace(0.0, 1.0, 50)[:, None] * (corner - rod)
        assert nearest(to_block(block, way)).distance.min() > 0.013
        rod = corner
        if np.array_equal(corner, goal):
            break
    assert np.array_equal(rod, goal)
    assert detour.lengths(block[None, :2])[0] >= BLOCKED


def test_a_planner_goes_on_from_wherever_others_left_the_rod() -> None:
    planner = PushPlanner(np.array([0.5, 0.0, -0.7]), ROD_RADIUS)
    rng = np.random.default_rng(3)
    for _ in range(60):
        block = rng.uniform([0.4, -0.12, -math.pi], [0.6, 0.12, math.pi])
        rod = rng.uniform(LOW, HIGH)
        goal = planner.goal(block, rod)
        assert np.isfinite(goal).all()
        if nearest(to_block(block, rod)[None]).distance[0] > ROD_RADIUS + 0.02:
            assert (goal >= LOW - 0.03).all()
            assert (goal <= HIGH + 0.03).all()
