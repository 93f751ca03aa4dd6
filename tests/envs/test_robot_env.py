"""RobotEnv on the fakes and on the simulated arm."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.envs.actions import ActionConfig
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.tasks.pick_cube import PickCube
from robot_rl.envs.tasks.reach import Reach
from robot_rl.errors import ConfigError, PoisonedDataError, RobotFault, SpecError
from robot_rl.interfaces import Bundle, World
from robot_rl.testing.check_env import check_env
from robot_rl.testing.fakes import FakeCamera, FakeRobot, FakeTask, FakeWorld, fake_bundle
from robot_rl.types import Array, LimitStage, Outcome, RobotState

DOWN = np.array([0, 0, 1.0, 0, 0, 0, 1.0], np.float32)
"""Along the end effector's z axis, which points at the table."""
ABOVE_TABLE, BELOW_TABLE = (0.28, -0.3, 0.01), (0.28, -0.3, -0.05)
"""Lower corners of workspaces; the fingertips are 9 mm below the tool centre point."""


@pytest.mark.parametrize("n_arms", [1, 2])
def test_conformance_on_the_fakes(n_arms: int) -> None:
    check_env(RobotEnv(fake_bundle(["eye"], n_arms=n_arms), FakeTask(n_arms=n_arms), ("eye",)))


@pytest.mark.parametrize("task", [Reach, PickCube])
@pytest.mark.parametrize("mode", ["absolute", "ternary", "velocity"])
def test_conformance_on_the_simulated_arm(task: type, mode: str) -> None:
    check_env(RobotEnv(make(), task(), action=ActionConfig(gripper_mode=mode)))


def test_conformance_in_the_base_frame_with_locked_axes() -> None:
    action = ActionConfig(frame="base", axes=("x", "y", "z", "gripper"))
    env = RobotEnv(make(), PickCube(), action=action, proprioception=("position", "wrench"))
    assert env.spec.action_dim == 4
    check_env(env)


def test_an_episode_is_bit_equal_in_another_process() -> None:
    script = (
        "import numpy as np\n"
        "from robot_rl.drivers.mujoco.fr3 import make\n"
        "from robot_rl.envs.robot_env import RobotEnv\n"
        "from robot_rl.envs.tasks.pick_cube import PickCube\n"
        "env = RobotEnv(make(), PickCube())\n"
        "rng = np.random.default_rng(7)\n"
        "now = env.reset(seed=3)\n"
        "rows = [now.obs['state']]\n"
        "for _ in range(12):\n"
        "    now = env.step(rng.uniform(-1, 1, 7).astype(np.float32))\n"
        "    rows += [now.obs['state'], now.executed]\n"
        "print(np.concatenate(rows).tobytes().hex(), now.boot_id, now.stamp_ns)\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 1000


@pytest.mark.parametrize("low", [ABOVE_TABLE, BELOW_TABLE])
def test_driving_down_executes_less_than_proposed(low: tuple[float, float, float]) -> None:
    """Against the floor of the workspace, and against the table itself."""
    env = RobotEnv(make(workspace_low=low), PickCube(cube_x=(0.58, 0.58), cube_y=(0.1, 0.1)))
    env.reset(seed=0)
    for _ in range(25):
        now = env.step(DOWN)
    assert now.executed[2] < 0.1
    assert abs(now.executed[:2]).max() < 0.2
    assert now.stage is not LimitStage.NONE
    state = env.robot.read()
    assert state.pose[0, 2] > 0.0
    pushes = float(np.linalg.norm(state.wrench[0, :3])) > 5.0
    assert pushes is (low is BELOW_TABLE)
    # Nothing has wound up: the way back starts with the first step.
    now = env.step(-DOWN)
    assert now.executed[2] < -0.5


def test_an_obstacle_holds_the_target_within_the_clip() -> None:
    bundle = fake_bundle(obstacle_z=0.25)
    env = RobotEnv(bundle, FakeTask(max_steps=100, tolerance=1e-9))
    env.reset(seed=0)
    executed = [env.step(DOWN).executed[2] for _ in range(12)]
    assert executed[0] == pytest.approx(1.0, abs=1e-6)
    assert executed[-1] == pytest.approx(0.0, abs=1e-6)
    state = env.robot.read()
    clip = ActionConfig().translational_clip
    assert state.pose[0, 2] - state.setpoint[0, 2] == pytest.approx(clip)


def test_a_workspace_wall_is_not_in_the_executed_action() -> None:
    env = RobotEnv(fake_bundle(low=(-2.0, -2.0, 0.29)), FakeTask(tolerance=1e-9))
    env.reset(seed=0)
    now = env.step(DOWN)
    assert now.executed[2] == pytest.approx(0.5, abs=1e-6)
    assert now.stage == LimitStage.WORKSPACE
    assert now.commanded[2] == pytest.approx(0.28)


def test_time_is_kept_by_the_robots_clock() -> None:
    env = RobotEnv(fake_bundle(), FakeTask(tolerance=1e-9), rate_hz=20.0)
    now = env.reset(seed=0)
    start = now.stamp_ns
    for index in range(1, 6):
        now = env.step(np.zeros(7, np.float32))
        assert now.stamp_ns - start == index * 50_000_000
        assert now.action_stamp_ns - start == (index - 1) * 50_000_000


def test_success_terminates_and_the_time_limit_truncates() -> None:
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=5))
    env.reset(seed=0)
    for index in range(1, 6):
        now = env.step(np.zeros(7, np.float32))
        assert (now.reward, now.terminated, now.success) == (0.0, False, 0)
        assert now.truncated == (index == 5)
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=1, tolerance=10.0))
    env.reset(seed=0)
    now = env.step(np.zeros(7, np.float32))
    assert (now.reward, now.terminated, now.truncated, now.success) == (1.0, True, False, 1)


def test_nan_moves_nothing() -> None:
    env = RobotEnv(make(), PickCube())
    env.reset(seed=0)
    before = env.robot.read()
    with pytest.raises(PoisonedDataError, match="gripper"):
        env.step(np.array([0, 0, 0, 0, 0, 0, np.nan], np.float32))
    after = env.robot.read()
    assert after.stamp_ns == before.stamp_ns
    assert np.array_equal(after.q, before.q)


class NanReward(FakeTask):
    """Judges with NaN."""

    def evaluate(self, world: World, state: RobotState) -> Outcome:
        return replace(super().evaluate(world, state), reward=float("nan"))


class NanFeature(FakeTask):
    """Observes NaN."""

    def observe(self, world: World, state: RobotState) -> Array:
        return np.full(3, np.nan, np.float32)


def test_nan_in_rewards_and_observations_is_refused() -> None:
    env = RobotEnv(fake_bundle(), NanReward())
    env.reset(seed=0)
    with pytest.raises(PoisonedDataError, match="fake: reward nan"):
        env.step(np.zeros(7, np.float32))
    with pytest.raises(PoisonedDataError, match="observation"):
        RobotEnv(fake_bundle(), NanFeature()).reset(seed=0)


def test_a_fault_ends_the_episode() -> None:
    bundle = fake_bundle()
    env = RobotEnv(bundle, FakeTask())
    env.reset(seed=0)
    assert isinstance(bundle.robot, FakeRobot)
    bundle.robot.clock.every(30_000_000, lambda: bundle.robot.fail("reflex"))  # type: ignore[attr-defined]
    now = env.step(np.zeros(7, np.float32))
    assert (now.terminated, now.truncated, now.fault) == (False, True, "reflex")
    assert now.stage == LimitStage.FAULT


@pytest.mark.parametrize("why", ["lost: the device gives no more frames", "frozen"])
def test_a_camera_that_nobody_may_act_on_stops_the_robot(why: str) -> None:
    bundle = fake_bundle(["eye", "side"])
    env = RobotEnv(bundle, FakeTask(), ("eye", "side"))
    env.reset(seed=0)
    camera = env.cameras["side"]
    assert isinstance(camera, FakeCamera)
    assert env.step(env.hold()).fault == ""
    camera.fault = why
    now = env.step(env.hold())
    assert (now.truncated, now.fault) == (True, f"camera 'side': {why}")
    assert bundle.robot.read().fault == f"camera 'side': {why}", "the robot itself holds"
    with pytest.raises(RobotFault, match="camera 'side'"):
        env.reset(seed=1)
    env.rearm()
    with pytest.raises(RobotFault, match=f"camera 'side': {why[:4]}"):
        env.reset(seed=1)
    camera.fault = ""
    env.rearm()
    env.reset(seed=1)
    assert env.step(env.hold()).fault == ""


@pytest.mark.parametrize("bundle", [fake_bundle(), make()], ids=["fake", "simulated"])
def test_nothing_is_placed_on_the_reset_of_a_stopped_robot(bundle: Bundle) -> None:
    env = RobotEnv(bundle, FakeTask())
    env.reset(seed=0)
    for _ in range(3):
        env.step(DOWN)
    env.trip("stopped by a person")
    env.step(env.hold())
    before = env.robot.read()
    with pytest.raises(RobotFault, match="stopped by a person; a person re-arms"):
        env.reset(seed=1)
    after = env.robot.read()
    assert (after.boot_id, after.stamp_ns) == (before.boot_id, before.stamp_ns)
    np.testing.assert_array_equal(after.pose, before.pose)
    env.rearm()
    assert env.reset(seed=1).boot_id != before.boot_id
    env.close()


def test_a_robot_at_rest_between_episodes_waits_for_no_command() -> None:
    env = RobotEnv(make(), Reach())
    for rests in (True, False):
        env.reset(seed=0)
        for _ in range(3):
            env.step(np.full(7, 0.5, np.float32))
        if rests:
            env.rest()
        clock = env.robot.clock
        clock.sleep_until(clock.now_ns() + 1_000_000_000)
        fault = env.robot.read().fault
        assert fault == "" if rests else "watchdog" in fault
    env.close()


def test_a_simulated_fault_truncates_and_the_next_episode_starts_afresh() -> None:
    robot = make(force_trip=5.0, workspace_low=BELOW_TABLE)
    env = RobotEnv(robot, PickCube(cube_x=(0.58, 0.58), cube_y=(0.1, 0.1)))
    env.reset(seed=0)
    for _ in range(30):
        now = env.step(DOWN)
        if now.truncated:
            break
    assert "exceeds 5.0 N" in now.fault
    assert not now.terminated
    env.reset(seed=1)
    now = env.step(-DOWN)
    assert now.fault == ""
    assert now.executed[2] < -0.5


def test_images_leave_the_privileged_features_out() -> None:
    both = RobotEnv(fake_bundle(["eye"]), FakeTask(), ("eye",))
    images = RobotEnv(fake_bundle(["eye"]), FakeTask(), ("eye",), observations="images")
    assert both.spec.image_keys == images.spec.image_keys == ("eye",)
    features = ("goal", 3)
    assert features in both.spec.state_layout
    assert features not in images.spec.state_layout
    obs = images.reset(seed=0).obs
    assert obs["eye"].dtype == np.uint8
    assert obs["eye"].max() == 0
    obs = images.step(np.zeros(7, np.float32)).obs
    assert obs["eye"].min() == 10  # taken at the period's end, 100 ms in ticks of 10 ms


def test_the_gripper_penalty_is_paid_per_stroke() -> None:
    env = RobotEnv(fake_bundle(), FakeTask(tolerance=1e-9), gripper_penalty=0.1)
    env.reset(seed=0)
    close = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
    assert env.step(close).reward == pytest.approx(-0.1)
    assert env.step(close).reward == pytest.approx(0.0)


def test_the_spec_tells_gains_limits_and_scales() -> None:
    spec = RobotEnv(make(), PickCube()).spec
    assert dict(spec.gains)["translational_stiffness"] == 2000.0
    assert "limit_velocity" in dict(spec.plant)
    assert not any("np." in text for _, text in spec.plant), "differs between NumPy's versions"
    assert "position=0.2" in dict(spec.facts)["state_scale"]
    stiffer = RobotEnv(make(translational_stiffness=1000.0), PickCube()).spec
    assert any("gains" in line for line in spec.plant_differences(stiffer))
    assert spec.differences(stiffer) == [], "another plant, the same interface"


def test_the_start_pose_is_the_origin_of_the_proprioception() -> None:
    env = RobotEnv(make(), PickCube(start_noise=0.05))
    for seed in range(3):
        obs = env.reset(seed=seed).obs
        np.testing.assert_allclose(obs["state"][:6], 0.0, atol=1e-3)


def test_without_a_world_a_task_says_what_is_missing() -> None:
    env = RobotEnv(Bundle(FakeRobot(), None), FakeTask())
    with pytest.raises(SpecError, match="no world"):
        env.reset(seed=0)


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(SpecError, match="reset"):
        RobotEnv(fake_bundle(), FakeTask()).step(np.zeros(7, np.float32))


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"rate_hz": 0.0}, "rate_hz"),
        ({"observations": "image"}, "did you mean 'images'"),
        ({"observations": "images"}, "needs cameras"),
        ({"cameras": ("eey",)}, "did you mean 'eye'"),
        ({"gripper_penalty": -1.0}, "gripper_penalty"),
        ({"proprioception": ("positon",)}, "did you mean 'position'"),
        ({"proprioception": ()}, "empty"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        RobotEnv(fake_bundle(["eye"]), FakeTask(), **settings)  # type: ignore[arg-type]


def test_rendering_uses_the_named_camera() -> None:
    world = FakeWorld(["external"], size=(8, 12))
    env = RobotEnv(Bundle(FakeRobot(world), world), FakeTask())
    env.reset(seed=0)
    assert env.render() is None
    env.render_mode = "rgb_array"
    image = env.render()
    assert image is not None
    assert image.shape == (8, 12, 3)
