"""The pure functions of the safety layer, and random goals through the limiter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot_rl import geometry
from robot_rl.drivers import safety
from robot_rl.drivers.limits import FR3, PANDA, limits_within
from robot_rl.drivers.setpoint import SetpointLimiter
from robot_rl.errors import PoisonedDataError, SafetyError, SpecError
from robot_rl.limits import Limits
from robot_rl.testing.motion import violations
from robot_rl.types import Array, CartesianCommand, LimitStage

DT = 0.02
START = (0.5, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0)
GAINS = {"translational_clip": 0.01, "rotational_clip": 0.1}


def make_limits(**changes: object) -> Limits:
    limits = limits_within(
        FR3,
        workspace_low=(0.3, -0.3, 0.0),
        workspace_high=(0.7, 0.3, 0.5),
        max_rotation=0.8,
        max_force=20.0,
        force_trip=40.0,
        velocity=0.5,
        angular_velocity=1.5,
    )
    return replace(limits, **changes)  # type: ignore[arg-type]


def random_goals(
    rng: np.random.Generator, n: int, limits: Limits
) -> list[tuple[safety.Vector3, safety.Quaternion]]:
    """Goals all over and outside the workspace, clamped as SafeRobot does."""
    goals = []
    for _ in range(n):
        x, y, z = rng.uniform((0.1, -0.6, -0.3), (0.9, 0.6, 0.8))
        turn = geometry.quat_from_rotvec(rng.uniform(-1.5, 1.5, 3))
        w, qx, qy, qz = geometry.quat_multiply(turn, np.array(START[3:])).tolist()
        goals.append(
            (
                safety.clamp_position((x, y, z), limits),
                safety.clamp_orientation((w, qx, qy, qz), limits),
            )
        )
    return goals


def emitted(limits: Limits, seed: int, goals: int, *, clip: bool) -> Array:
    """Setpoints (n, 7) while goals change every 1 to 12 ticks; the arm follows ideally or lags."""
    rng = np.random.default_rng(seed)
    limiter = SetpointLimiter(limits, GAINS if clip else {}, DT)
    limiter.seed(START)
    measured, poses = list(START), [list(START)]
    for position, quat in random_goals(rng, goals, limits):
        if rng.uniform() < 0.2:
            limiter.hold()
        else:
            limiter.follow(position, quat)
        for _ in range(int(rng.integers(1, 13))):
            headroom = 1.0 if rng.uniform() < 0.8 else float(rng.uniform(-0.5, 1.0))
            poses.append(limiter.step(measured, [0.0] * 6, headroom))
            if rng.uniform() < 0.7:
                measured = poses[-1]
    return np.array(poses)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize(
    "limits", [make_limits(), make_limits(jerk=200.0, angular_jerk=300.0)], ids=["fr3", "low-jerk"]
)
def test_random_goals_never_break_a_limit(limits: Limits, clip: bool) -> None:
    poses = emitted(limits, seed=3, goals=4000, clip=clip)
    assert np.isfinite(poses).all()
    assert violations(poses, DT, limits) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_goals_never_break_a_limit_at_length(seed: int) -> None:
    """About 500,000 ticks."""
    poses = emitted(make_limits(), seed=seed, goals=4000, clip=seed % 2 == 0)
    assert violations(poses, DT, make_limits()) == []


def test_the_judge_sees_a_limiter_without_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted bug: the fuzz above must fail when braking at the walls is left out."""
    monkeypatch.setattr("robot_rl.drivers.setpoint.stops_in_box", lambda *_: True)
    limits = make_limits()
    lines = violations(emitted(limits, seed=3, goals=4000, clip=False), DT, limits)
    assert any("outside the workspace" in line for line in lines)


def test_approach_speed_is_the_inverse_of_the_stopping_distance() -> None:
    for distance in np.geomspace(1e-6, 2.0, 200):
        speed = safety.approach_speed(distance, 8.1, DT)
        assert safety.stopping_distance(speed, 8.1, DT) == pytest.approx(distance, rel=1e-9)


def test_a_goal_is_reached_exactly_and_without_overshoot() -> None:
    limits = make_limits()
    limiter = SetpointLimiter(limits, {}, DT)
    limiter.seed(START)
    goal = (0.6, 0.1, 0.25)
    limiter.follow(goal, (0.0, 1.0, 0.0, 0.0))
    pose, way = list(START), []
    for _ in range(60):
        pose = limiter.step(pose, [0.0] * 6, 1.0)
        way.append(np.linalg.norm(np.subtract(pose[:3], START[:3])))
    assert np.allclose(pose[:3], goal, atol=1e-12)
    assert (np.diff(way) >= -1e-12).all()
    assert limiter.stage is LimitStage.NONE


def test_a_blocked_arm_keeps_its_setpoint_at_measured_plus_clip() -> None:
    limiter = SetpointLimiter(make_limits(), GAINS, DT)
    limiter.seed(START)
    limiter.follow((0.7, 0.0, 0.2), (0.0, 1.0, 0.0, 0.0))
    for _ in range(50):
        pose = limiter.step(START, [0.0] * 6, 1.0)
    assert pose[0] == pytest.approx(START[0] + 0.01, abs=1e-9)
    assert limiter.stage is LimitStage.FORCE


def test_a_twenty_millimetre_step_is_tracked_within_one_policy_period() -> None:
    limiter = SetpointLimiter(make_limits(velocity=0.3), {}, DT)
    limiter.seed(START)
    pose = list(START)
    for k in range(1, 6):
        limiter.follow((0.5, 0.02 * k, 0.2), (0.0, 1.0, 0.0, 0.0))
        for _ in range(5):
            pose = limiter.step(pose, [0.0] * 6, 1.0)
        assert pose[1] == pytest.approx(0.02 * k, abs=5e-4)


def test_a_setpoint_left_outside_comes_in_without_a_jump() -> None:
    limits = make_limits()
    limiter = SetpointLimiter(limits, GAINS, DT)
    pose = [0.708, 0.0, 0.2, 0.0, 1.0, 0.0, 0.0]
    limiter.seed(pose)
    assert limiter.step(pose, [0.0] * 6, 1.0) == pose
    limiter.follow((0.65, 0.29, 0.2), (0.0, 1.0, 0.0, 0.0))
    poses = [pose]
    for _ in range(60):
        poses.append(limiter.step(poses[-1], [0.0] * 6, 1.0))
    assert np.allclose(poses[-1][:3], (0.65, 0.29, 0.2))
    broken = violations(np.array(poses), DT, limits, tolerance=1e-6)
    assert [line.split(" workspace")[0] for line in broken] == ["8 mm outside the"]
    assert max(p[0] for p in poses) <= 0.708


def test_joints_near_their_end_turn_the_setpoint_back() -> None:
    limiter = SetpointLimiter(make_limits(), {}, DT)
    limiter.seed(START)
    limiter.follow((0.7, 0.0, 0.2), (0.0, 1.0, 0.0, 0.0))
    pose = list(START)
    for _ in range(10):
        pose = limiter.step(pose, [0.0] * 6, 1.0)
    clear = pose[0]
    for _ in range(40):
        pose = limiter.step(pose, [0.0] * 6, -1.0)
    assert pose[0] <= clear
    assert limiter.stage is LimitStage.JOINT


def test_joint_headroom_falls_to_zero_at_the_speed_limit_and_below_at_the_end() -> None:
    limits = make_limits()
    q = [0.0, -0.8, 0.0, -2.3, 0.0, 1.6, 0.8]
    assert safety.joint_headroom(q, [0.0] * 7, limits) == 1.0
    rates = [0.0, 0.9 * limits.joint_velocity[1], 0.0, 0.0, 0.0, 0.0, 0.0]
    assert safety.joint_headroom(q, rates, limits) == pytest.approx(0.5)
    q[3] = limits.joint_low[3] + 0.02
    assert safety.joint_headroom(q, [0.0] * 7, limits) < 0.0
    assert safety.joint_fault(q, [0.0] * 7, limits) == ""
    q[3] = limits.joint_low[3] - 0.01
    assert "joint 4" in safety.joint_fault(q, [0.0] * 7, limits)
    assert "joint 1" in safety.joint_fault([float("nan")] * 7, [0.0] * 7, limits)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused(bad: float) -> None:
    pose = np.array([START])
    for index in range(7):
        broken = pose.copy()
        broken[0, index] = bad
        with pytest.raises(PoisonedDataError, match="finite"):
            safety.check_command(CartesianCommand(broken, np.zeros(1), 0), 1)
    with pytest.raises(PoisonedDataError, match="gripper"):
        safety.check_command(CartesianCommand(pose, np.array([bad]), 0), 1)


def test_wrong_shapes_and_quaternions_are_refused() -> None:
    pose = np.array([START])
    for broken, width in ((pose[0], np.zeros(1)), (pose, np.zeros(2)), (2 * pose, np.zeros(1))):
        with pytest.raises(SpecError, match="valid"):
            safety.check_command(CartesianCommand(broken, width, 0), 1)


def test_force_bound_refuses_stiffness_times_clip_above_the_declared_force() -> None:
    gains = {"translational_stiffness": 2000.0, "translational_clip": 0.011}
    with pytest.raises(SafetyError, match=r"22 N exceeds max_force = 20 N"):
        safety.check_force_bound(gains, make_limits())
    safety.check_force_bound(gains | {"translational_clip": 0.01}, make_limits())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"velocity": 0.0}, "velocity"),
        ({"jerk": float("nan")}, "jerk"),
        ({"workspace_low": (0.8, -0.3, 0.0)}, "workspace"),
        ({"orientation": (1.0, 1.0, 0.0, 0.0)}, "unit quaternion"),
        ({"max_rotation": 1.6}, "pi/2"),
        ({"stop_after_ns": 1_000}, "stop_after_ns"),
    ],
)
def test_limits_must_be_sensible(change: dict[str, object], message: str) -> None:
    with pytest.raises(SafetyError, match=message):
        make_limits(**change)


def test_limits_stay_a_margin_below_the_vendors_table() -> None:
    for table in (FR3, PANDA):
        with pytest.raises(SafetyError, match=f"valid for {table.name}"):
            limits_within(
                table,
                workspace_low=(0.3, -0.3, 0.0),
                workspace_high=(0.7, 0.3, 0.5),
                max_rotation=0.8,
                max_force=20.0,
                force_trip=40.0,
                velocity=0.95 * table.velocity,
                angular_velocity=1.0,
            )


def test_scalar_rotations_agree_with_the_geometry_module() -> None:
    rng = np.random.default_rng(5)
    for _ in range(100):
        a, b = geometry.quat_normalise(rng.normal(size=(2, 4)))
        turn = safety.rotation_between(tuple(a), tuple(b))
        expected = geometry.rotvec_from_quat(geometry.quat_multiply(b, geometry.quat_conjugate(a)))
        assert np.allclose(turn, expected, atol=1e-9)
        assert np.allclose(np.abs(np.dot(safety.rotate(tuple(a), turn), b)), 1.0)
