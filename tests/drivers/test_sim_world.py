"""The simulated world and arm: kinematics, grasp, objects, cameras, lost physics."""

from __future__ import annotations

import time
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from robot_rl.drivers.limits import FR3, PANDA
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.mujoco.model import mujoco
from robot_rl.drivers.mujoco.robot import SimRobot
from robot_rl.drivers.mujoco.world import HOME, SimWorld
from robot_rl.errors import ConfigError, PoisonedDataError, RobotFault, SafetyError, SpecError
from robot_rl.interfaces import Robot, World
from robot_rl.types import Array, CartesianCommand, Scene

CUBE = """
<body name="cube" pos="0.5 0 0.02"><freejoint/>
  <geom type="box" size="0.02 0.02 0.02" mass="0.08"/></body>
<body name="post" pos="0.6 0.2 0.05"><geom type="box" size="0.01 0.01 0.05"/></body>
<body name="drawer" pos="0.6 -0.25 0.05"><joint name="slide" type="slide" axis="1 0 0"/>
  <geom type="box" size="0.02 0.02 0.02" mass="0.1" contype="0" conaffinity="0"/></body>
"""
SCENE = Scene(CUBE, objects=("cube", "post", "drawer"), joints=("slide",))
DOWN = (0.0, 1.0, 0.0, 0.0)
PERIOD_NS = 100_000_000


def built(**options: object) -> tuple[Robot, SimWorld]:
    bundle = make(**options)  # type: ignore[arg-type]
    assert isinstance(bundle.world, SimWorld)
    bundle.world.build(SCENE)
    bundle.robot.connect()
    return bundle.robot, bundle.world


def at(x: float, y: float, z: float) -> Array:
    return np.array([[x, y, z, *DOWN]])


def step_towards(robot: Robot, goal: Array, width: float, periods: int) -> None:
    """Goals 20 mm ahead each 100 ms, as a policy gives them."""
    for _ in range(periods):
        state = robot.read()
        ahead = goal.copy()
        shift = goal[0, :3] - state.setpoint[0, :3]
        ahead[0, :3] = state.setpoint[0, :3] + shift * min(1.0, 0.02 / (abs(shift).max() + 1e-9))
        robot.command(CartesianCommand(ahead, np.array([width]), state.stamp_ns))
        robot.clock.sleep_until(state.stamp_ns + PERIOD_NS)


def craig_transform(alpha: float, a: float, d: float, theta: float) -> Array:
    """Craig, Introduction to Robotics, eq. 3.6."""
    ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
    return np.array(
        [
            [ct, -st, 0, a],
            [st * ca, ct * ca, -sa, -sa * d],
            [st * sa, ct * sa, ca, ca * d],
            [0, 0, 0, 1],
        ]
    )


def test_kinematics_are_the_published_craig_parameters() -> None:
    _, world = built()
    half = np.pi / 2
    table = [
        (0, 0, 0.333), (-half, 0, 0), (half, 0, 0.316), (half, 0.0825, 0),
        (-half, -0.0825, 0.384), (half, 0, 0), (half, 0.088, 0),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    for _ in range(20):
        q = rng.uniform(FR3.joint_low, FR3.joint_high)
        transform = np.eye(4)
        for (alpha, a, d), theta in zip(table, q, strict=True):
            transform = transform @ craig_transform(alpha, a, d, theta)
        tool = transform @ craig_transform(0, 0, 0.107, -np.pi / 4)
        tool = tool @ craig_transform(0, 0, 0.1034, 0)
        world.data.qpos[:7] = q
        mujoco.mj_kinematics(world.model, world.data)
        site = world.model.site("tcp").id
        assert np.allclose(world.data.site_xpos[site], tool[:3, 3], atol=1e-6)
        assert np.allclose(world.data.site_xmat[site].reshape(3, 3), tool[:3, :3], atol=1e-6)


def test_joint_and_torque_limits_are_the_vendors() -> None:
    _, world = built()
    assert np.allclose(world.model.jnt_range[:7].T, [FR3.joint_low, FR3.joint_high])
    assert world.model.jnt_actfrcrange[:7, 1].tolist() == [87.0] * 4 + [12.0] * 3
    masses = world.model.body_mass[[world.model.body(f"fr3_link{i}").id for i in range(8)]]
    assert masses.sum() == pytest.approx(17.8917, abs=1e-3)


def test_the_panda_variant_has_the_pandas_joint_ranges() -> None:
    _, world = built(variant="panda")
    assert np.allclose(world.model.jnt_range[:7].T, [PANDA.joint_low, PANDA.joint_high])


def test_protocols_hold() -> None:
    robot, world = built()
    assert isinstance(robot, Robot)
    assert isinstance(world, World)


@pytest.mark.parametrize("joint_control", [False, True])
def test_a_cube_is_gripped_lifted_and_carried_without_slip(joint_control: bool) -> None:
    robot, world = built(joint_control=joint_control)
    robot.move_to(at(0.5, 0, 0.1), np.array([0.08]))
    step_towards(robot, at(0.5, 0, 0.02), 0.08, 10)
    step_towards(robot, at(0.5, 0, 0.02), 0.0, 8)
    step_towards(robot, at(0.5, 0, 0.25), 0.0, 20)
    assert world.object_pose("cube")[2] == pytest.approx(0.25, abs=0.01)
    held = world.object_pose("cube")[:3] - robot.read().pose[0, :3]
    rng = np.random.default_rng(0)
    for _ in range(10):
        step_towards(robot, at(rng.uniform(0.4, 0.6), rng.uniform(-0.2, 0.2), 0.25), 0.0, 6)
    moved = world.object_pose("cube")[:3] - robot.read().pose[0, :3] - held
    assert np.abs(moved).max() < 0.004
    step_towards(robot, robot.read().setpoint, 0.08, 10)
    assert world.object_pose("cube")[2] < 0.05


def test_twenty_millimetre_steps_are_followed_at_a_fifth_of_a_metre_per_second() -> None:
    robot, _ = built()
    robot.move_to(at(0.5, -0.2, 0.2), np.array([0.08]))
    for goal, axis, sign in ((at(0.5, 0.2, 0.2), 1, 1), (at(0.5, 0.2, 0.4), 2, 1)):
        start = robot.read().pose[0, axis]
        step_towards(robot, goal, 0.08, 9)
        before = robot.read().pose[0, axis]
        step_towards(robot, goal + sign * 0.1 * np.eye(1, 7, axis), 0.08, 1)
        assert before - start > 0.14
        assert robot.read().pose[0, axis] - before > 0.018


def test_a_blocked_arm_pushes_no_harder_than_stiffness_times_clip() -> None:
    robot, _ = built(workspace_low=[0.28, -0.3, -0.1])
    robot.move_to(at(0.5, 0.1, 0.05), np.array([0.0]))
    for _ in range(30):
        state = robot.read()
        robot.command(CartesianCommand(at(0.5, 0.1, -0.05), np.array([0.0]), state.stamp_ns))
        robot.clock.sleep_until(state.stamp_ns + PERIOD_NS)
    state = robot.read()
    assert state.pose[0, 2] > 0.007  # the fingertips stand on the table, 9 mm below
    assert state.pose[0, 2] - state.setpoint[0, 2] == pytest.approx(0.01, abs=1e-4)
    assert state.wrench[0, 2] == pytest.approx(20.0, abs=0.5)
    assert state.limiting_stage.name == "FORCE"


def test_objects_and_joints_are_placed_and_read_in_the_base_frame() -> None:
    _, world = built()
    pose = np.array([0.45, -0.1, 0.3, np.cos(0.2), 0.0, 0.0, np.sin(0.2)])
    for name in ("cube", "post", "drawer"):
        world.set_object_pose(name, pose)
        assert np.allclose(world.object_pose(name), pose)
    world.set_joint_position("slide", 0.03)
    assert world.joint_position("slide") == 0.03
    assert world.object_pose("drawer")[0] > 0.45
    world.reset(np.random.default_rng(0))
    assert np.allclose(world.object_pose("cube"), [0.5, 0, 0.02, 1, 0, 0, 0])
    assert world.joint_position("slide") == 0.0


def test_reset_undoes_the_placing_of_fixed_bodies() -> None:
    _, world = built()
    before = world.object_pose("post")
    world.set_object_pose("post", np.array([0.4, 0.0, 0.2, 1.0, 0.0, 0.0, 0.0]))
    world.reset(np.random.default_rng(0))
    assert np.allclose(world.object_pose("post"), before)


def test_equal_seeds_and_commands_give_equal_states() -> None:
    runs = []
    for _ in range(2):
        robot, world = built()
        for _ in range(2):
            world.reset(np.random.default_rng(7))
            robot.move_to(at(0.5, 0.02, 0.03), np.array([0.05]))
            step_towards(robot, at(0.52, -0.02, 0.02), 0.0, 6)
            runs.append(np.concatenate([robot.read().pose[0], world.object_pose("cube")]))
    assert all(np.array_equal(runs[0], run) for run in runs[1:])


def test_unknown_names_say_what_is_valid() -> None:
    _, world = built()
    with pytest.raises(SpecError, match=r"did you mean 'cube'\? valid: cube, drawer, post"):
        world.object_pose("cub")
    with pytest.raises(SpecError, match="valid: slide"):
        world.joint_position("slid")
    for pose in (np.zeros(3), np.zeros(7)):
        with pytest.raises(SpecError, match="valid: position and quaternion"):
            world.set_object_pose("cube", pose)
    with pytest.raises(PoisonedDataError, match="pose of 'cube'"):
        world.set_object_pose("cube", np.full(7, np.nan))
    with pytest.raises(PoisonedDataError, match="position of 'slide'"):
        world.set_joint_position("slide", float("nan"))
    for scene in (Scene("", objects=("cube",)), Scene("", joints=("slide",))):
        with pytest.raises(SpecError, match="valid: "):
            SimWorld().build(scene)
    with pytest.raises(SpecError, match="no 'wirst'; did you mean 'wrist'"):
        SimWorld(cameras=("wirst",)).build(SCENE)


@pytest.mark.parametrize("mjcf", ["<body>", "<bodyy/>", "<geom type='box' size='-1 1 1'/>"])
def test_a_scene_that_does_not_compile_is_refused(mjcf: str) -> None:
    with pytest.raises(SpecError, match="does not compile"):
        SimWorld().build(Scene(mjcf))


def test_build_comes_first_and_once() -> None:
    world = SimWorld()
    with pytest.raises(RobotFault, match="build"):
        SimRobot(world).connect()
    world.build(SCENE)
    with pytest.raises(SpecError, match="already built"):
        world.build(SCENE)


@pytest.mark.parametrize("velocity", [float("nan"), 1e6])
def test_lost_physics_is_a_fault_and_not_a_silent_reset(
    velocity: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    robot, world = built()
    robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
    world.data.qvel[3] = velocity
    with pytest.raises(RobotFault, match="diverged"):
        robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
    with pytest.raises(RobotFault, match=r"world\.reset"):
        robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
    world.reset(np.random.default_rng(0))
    robot.move_to(at(0.5, 0, 0.2))
    robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
    assert np.isfinite(robot.read().pose).all()


def test_inverse_kinematics_reaches_the_workspace_and_says_when_not() -> None:
    bundle = make(workspace_high=[2.0, 0.3, 0.55])
    assert bundle.world is not None
    bundle.world.build(SCENE)
    bundle.robot.connect()
    assert np.allclose(bundle.robot.read().q[0], HOME)
    for x, y, z in ((0.35, -0.25, 0.05), (0.6, 0.25, 0.05), (0.5, 0.0, 0.45)):
        bundle.robot.move_to(at(x, y, z))
        assert np.allclose(bundle.robot.read().pose[0, :3], (x, y, z), atol=1e-6)
    with pytest.raises(RobotFault, match="out of reach"):
        bundle.robot.move_to(at(1.5, 0, 0.2))


@pytest.mark.skipif(find_library("EGL") is None, reason="no EGL library on this machine")
def test_cameras_show_the_scene_and_close() -> None:
    robot, world = built(image_size=[48, 64])
    cameras = world.cameras()
    assert sorted(cameras) == ["external", "scene", "wrist"]
    assert cameras["scene"].shape == (480, 640, 3)
    robot.move_to(at(0.4, 0, 0.2))
    before = cameras["external"].read()
    assert before.image.shape == cameras["external"].shape == (48, 64, 3)
    assert before.image.dtype == np.uint8
    assert (before.stamp_ns, before.boot_id) == (robot.clock.now_ns(), robot.clock.boot_id)
    world.set_object_pose("cube", np.array([0.6, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0]))
    after = cameras["external"].read()
    assert (before.image != after.image).any()
    cameras["wrist"].close()
    cameras["wrist"].close()
    assert cameras["external"].read().image.std() > 0.0
    world.close()


def test_the_camera_of_the_videos_sees_the_whole_arm_and_every_place_of_a_task() -> None:
    _, world = built()
    camera = world.model.camera("scene").id
    position, axes = world.data.cam_xpos[camera], world.data.cam_xmat[camera].reshape(3, 3)
    arm = [world.model.body(name).id for name in (*(f"fr3_link{i}" for i in range(8)), "hand")]
    corners = [(x, y, z) for x in (0.3, 0.7) for y in (-0.25, 0.25) for z in (0.0, 0.3)]
    for point in (*world.data.xpos[arm], *corners):
        x, y, z = axes.T @ (np.array(point) - position)
        half = -z * np.tan(np.deg2rad(world.model.cam_fovy[camera]) / 2)
        assert abs(y) < 0.95 * half, point
        assert abs(x) < 0.95 * half * 640 / 480, point


def test_real_time_does_not_run_ahead_of_the_wall() -> None:
    robot, _ = built(real_time=True)
    start, began = robot.clock.now_ns(), time.monotonic_ns()
    for _ in range(3):
        robot.clock.sleep_until(robot.clock.now_ns() + 50_000_000)
    assert robot.clock.now_ns() - start == 150_000_000
    assert time.monotonic_ns() - began >= 120_000_000


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"variant": "fr4"}, ConfigError, "did you mean 'fr3'"),
        ({"translational_stiffness": -1.0}, ConfigError, "translational_stiffness"),
        ({"translational_clip": 0.02}, SafetyError, "exceeds max_force"),
        ({"velocity": 5.0}, SafetyError, "valid for fr3"),
        ({"workspace_low": [0.9, 0, 0]}, SafetyError, "workspace"),
        ({"image_size": [128]}, ConfigError, "image_size"),
    ],
)
def test_configs_that_ask_for_too_much_are_refused(
    options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        make(**options)  # type: ignore[arg-type]
