"""SafeRobot: goals, watchdog, faults, resets, on the simulated arm and on a kinematic fake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.drivers.limits import FR3, limits_within
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.safe_robot import PERIOD_NS, SafeRobot
from robot_rl.errors import PoisonedDataError, RobotFault, SafetyError, SpecError
from robot_rl.geometry import quat_from_rotvec, quat_multiply
from robot_rl.limits import Limits
from robot_rl.testing.fakes import FakeRobot
from robot_rl.testing.motion import violations
from robot_rl.types import Array, CartesianCommand, Command, LimitStage, RobotState, Scene

START = np.array([[0.5, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0]])
WIDTH = np.array([0.08])


def make_limits(**changes: object) -> Limits:
    limits = limits_within(
        FR3,
        workspace_low=(0.3, -0.3, 0.0),
        workspace_high=(0.7, 0.3, 0.5),
        max_rotation=0.8,
        max_force=20.0,
        force_trip=40.0,
        velocity=0.4,
        angular_velocity=1.5,
    )
    wide = {"joint_low": (-3.0,) * 7, "joint_high": (3.0,) * 7}
    return replace(limits, **(wide | changes))  # type: ignore[arg-type]


class Recorder(FakeRobot):
    """A kinematic arm that keeps every command it gets and can be given a state to show."""

    def __init__(self) -> None:
        super().__init__(speed=100.0, angular_speed=100.0)
        self.emitted: list[Array] = []
        self.shown: dict[str, object] = {}

    def command(self, command: Command) -> None:
        super().command(command)
        self.emitted.append(command.pose[0].copy())

    def read(self) -> RobotState:
        return replace(super().read(), **self.shown)  # type: ignore[arg-type]


def safe(**changes: object) -> tuple[SafeRobot, Recorder]:
    inner = Recorder()
    robot = SafeRobot(inner, (make_limits(**changes),), stream_resets=False)
    robot.connect()
    return robot, inner


def goal(x: float, y: float, z: float) -> Array:
    return np.array([[x, y, z, 0.0, 1.0, 0.0, 0.0]])


def send(robot: SafeRobot, pose: Array, periods: int = 1) -> RobotState:
    for _ in range(periods):
        now = robot.clock.now_ns()
        robot.command(CartesianCommand(pose, WIDTH, now))
        robot.clock.sleep_until(now + 100_000_000)
    return robot.read()


def test_every_emitted_command_is_inside_all_limits_whatever_is_asked() -> None:
    robot, inner = safe()
    rng = np.random.default_rng(1)
    inner.emitted.append(START[0])
    for _ in range(300):
        pose = goal(*rng.uniform((0.0, -1.0, -0.5), (1.2, 1.0, 1.0)))
        quat = rng.normal(size=4)
        pose[0, 3:] = quat / np.linalg.norm(quat)
        send(robot, pose)
    assert violations(np.array(inner.emitted), PERIOD_NS / 1e9, robot.limits[0]) == []


def test_ticks_begin_with_the_command_and_five_fit_a_policy_period() -> None:
    robot, inner = safe()
    send(robot, goal(0.5, 0.02, 0.3))
    assert len(inner.emitted) == 5
    assert np.allclose(inner.emitted[-1][:3], (0.5, 0.02, 0.3))
    assert robot.read().limiting_stage is LimitStage.NONE


def ticks_of_silence(robot: SafeRobot, inner: Recorder) -> tuple[int, int, int]:
    """Ticks after the last command at which the goal is dropped, a fault is latched, and the arm
    is commanded last; counted on the stepped clock."""
    send(robot, goal(0.5, 0.3, 0.3))
    now = robot.clock.now_ns()
    robot.command(CartesianCommand(goal(0.5, 0.3, 0.3), WIDTH, now))
    held = stopped = last = 0
    for tick in range(1, 41):
        count = len(inner.emitted)
        robot.clock.sleep_until(now + tick * PERIOD_NS)
        state = robot.read()
        held = held or tick * (state.limiting_stage is LimitStage.WATCHDOG)
        stopped = stopped or tick * bool(state.fault)
        if len(inner.emitted) > count:
            last = tick
    return held, stopped, last


@pytest.mark.parametrize(
    ("hold_ms", "stop_ms", "held", "stopped"),
    [(150, 300, 8, 15), (100, 200, 5, 10), (121, 301, 7, 16), (300, 600, 15, 30)],
)
def test_silence_is_held_and_then_stopped_at_the_first_tick_after_each_deadline(
    hold_ms: int, stop_ms: int, held: int, stopped: int
) -> None:
    """The clock's ticks fall on commands and 20 ms apart: tick n is n x 20 ms after the command."""
    robot, inner = safe(hold_after_ns=hold_ms * 1_000_000, stop_after_ns=stop_ms * 1_000_000)
    found = ticks_of_silence(robot, inner)
    assert found == (held, stopped, stopped - 1)
    assert "watchdog" in robot.read().fault
    with pytest.raises(RobotFault, match="a person re-arms"):
        send(robot, START)
    with pytest.raises(RobotFault, match="a person re-arms"):
        robot.move_to(START)
    robot.rearm()
    assert send(robot, START, 10).fault == ""


def test_without_the_watchdog_silence_would_not_be_stopped() -> None:
    """Planted bug: the test above must fail when the watchdog never comes."""
    robot, inner = safe(hold_after_ns=10**12, stop_after_ns=10**13)
    assert ticks_of_silence(robot, inner) == (0, 0, 40)


@pytest.mark.parametrize(("age_ms", "taken"), [(0, True), (150, True), (151, False), (-1, False)])
def test_a_command_is_taken_up_to_its_deadline_by_its_own_stamp(age_ms: int, taken: bool) -> None:
    robot, _ = safe()
    robot.clock.sleep_until(1_000_000_000)
    now = robot.clock.now_ns()
    robot.command(CartesianCommand(goal(0.5, 0.02, 0.3), WIDTH, now - age_ms * 1_000_000))
    robot.clock.sleep_until(now + 5 * PERIOD_NS)
    state = robot.read()
    assert bool(state.setpoint[0, 1] > 0.01) is taken
    assert state.limiting_stage is (LimitStage.NONE if taken else LimitStage.STALE)


def test_a_command_within_the_hold_resumes() -> None:
    robot, _ = safe()
    send(robot, goal(0.5, 0.3, 0.3))
    robot.clock.sleep_until(robot.clock.now_ns() + 120_000_000)
    state = send(robot, goal(0.5, 0.05, 0.3), 10)
    assert np.allclose(state.setpoint[0, :3], (0.5, 0.05, 0.3))
    assert state.limiting_stage is LimitStage.NONE


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"wrench": np.array([[0.0, 0.0, 90.0, 0.0, 0.0, 0.0]])}, "contact force"),
        ({"wrench": np.full((1, 6), np.nan)}, "wrench .* is not finite"),
        ({"q": np.full((1, 7), 3.1)}, "joint 1 at 3.1"),
        ({"dq": np.full((1, 7), -9.0)}, "joint 1 turns at -9"),
        ({"q": np.full((1, 7), np.nan)}, "joint 1 at nan"),
        ({"pose": np.full((1, 7), np.nan)}, "not finite"),
        ({"fault": "reflex"}, "reflex"),
    ],
)
def test_measured_states_that_must_stop_the_robot_latch_a_fault(
    shown: dict[str, object], reason: str
) -> None:
    robot, inner = safe()
    send(robot, goal(0.5, 0.05, 0.3))
    inner.shown = shown
    robot.clock.sleep_until(robot.clock.now_ns() + 140_000_000)
    count = len(inner.emitted)
    inner.shown = {}
    assert re.search(reason, robot.read().fault)
    robot.clock.sleep_until(robot.clock.now_ns() + 500_000_000)
    assert len(inner.emitted) == count
    assert robot.read().limiting_stage is LimitStage.FAULT


def test_one_force_spike_shorter_than_the_filter_does_not_trip() -> None:
    robot, inner = safe()
    inner.shown = {"wrench": np.array([[0.0, 0.0, 90.0, 0.0, 0.0, 0.0]])}
    robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
    inner.shown = {}
    robot.clock.sleep_until(robot.clock.now_ns() + 5 * PERIOD_NS)
    assert robot.read().fault == ""


def test_a_reset_in_simulation_rearms_what_the_layer_found_and_never_a_stop() -> None:
    robot = SafeRobot(Recorder(), (make_limits(),), stream_resets=False, rearm_on_reset=True)
    robot.connect()
    send(robot, goal(0.5, 0.2, 0.3))
    robot.clock.sleep_until(robot.clock.now_ns() + 500_000_000)
    assert "watchdog" in robot.read().fault
    robot.move_to(START)
    assert send(robot, START).fault == ""
    robot.trip("emergency stop")
    with pytest.raises(RobotFault, match="emergency stop"):
        robot.move_to(START)
    robot.rearm()
    robot.move_to(START)
    assert send(robot, START).fault == ""


def test_a_stop_after_another_fault_makes_it_a_persons_to_clear() -> None:
    robot = SafeRobot(Recorder(), (make_limits(),), stream_resets=False, rearm_on_reset=True)
    robot.connect()
    send(robot, START)
    robot.clock.sleep_until(robot.clock.now_ns() + 500_000_000)
    robot.trip("emergency stop")
    with pytest.raises(RobotFault, match=r"watchdog.*; emergency stop"):
        robot.move_to(START)


def test_rearming_holds_where_the_arm_was_moved_to_meanwhile() -> None:
    robot, inner = safe()
    send(robot, goal(0.5, 0.2, 0.3))
    robot.trip("emergency stop")
    robot.clock.sleep_until(robot.clock.now_ns() + 100_000_000)
    inner.rearm()
    inner.move_to(goal(0.6, -0.1, 0.2))  # a person moves the arm by hand
    inner.trip("emergency stop")
    robot.rearm()
    robot.clock.sleep_until(robot.clock.now_ns() + 200_000_000)
    state = robot.read()
    assert state.fault == ""
    assert np.allclose(state.setpoint[0, :3], (0.6, -0.1, 0.2))
    assert np.allclose(state.pose[0, :3], (0.6, -0.1, 0.2))


def test_rearming_clears_a_fault_of_the_arm_that_no_tick_has_seen_yet() -> None:
    robot, inner = safe()
    inner.fail("reflex")
    assert robot.read().fault == "reflex"
    robot.rearm()
    assert send(robot, START).fault == ""


def test_rearming_without_a_fault_changes_nothing() -> None:
    robot, _ = safe()
    robot.command(CartesianCommand(goal(0.5, 0.05, 0.3), WIDTH, robot.clock.now_ns()))
    robot.rearm()
    robot.clock.sleep_until(robot.clock.now_ns() + 140_000_000)
    assert robot.read().setpoint[0, 1] > 0.03


def test_each_arm_has_limits_of_its_own() -> None:
    wide, narrow = make_limits(), make_limits(workspace_high=(0.55, 0.05, 0.4), velocity=0.1)
    robot = SafeRobot(FakeRobot(n_arms=2, speed=100.0), (wide, narrow), stream_resets=False)
    robot.connect()
    pose = np.tile(goal(0.7, 0.3, 0.5), (2, 1))
    for period in range(40):
        now = robot.clock.now_ns()
        robot.command(CartesianCommand(pose, np.full(2, 0.08), now))
        robot.clock.sleep_until(now + 100_000_000)
        if period == 2:
            moved = np.linalg.norm(robot.read().setpoint[:, :3] - START[0, :3], axis=1)
            assert moved[1] <= 0.03 + 1e-9 < moved[0]
    assert np.allclose(robot.read().setpoint[:, :3], [[0.7, 0.3, 0.5], [0.55, 0.05, 0.4]])
    with pytest.raises(SafetyError, match="limits of 1 arms; valid: 2"):
        SafeRobot(FakeRobot(n_arms=2), (wide,))


def test_a_moving_goal_is_followed_without_lag() -> None:
    """The goal runs along y at 0.1 m/s, commanded at 10 Hz: with its velocity the setpoint is on it
    at each tick; without, it waits at the last goal until the next one comes."""
    behind = {}
    for fed in (True, False):
        robot, inner = safe()
        twist = np.array([[0.0, 0.1, 0.0, 0.0, 0.0, 0.2]]) if fed else None
        began, late = robot.clock.now_ns(), []
        for period in range(10):
            y = 0.01 * period
            about_z = quat_from_rotvec(np.array([0.0, 0.0, 0.02 * period]))
            turn = quat_multiply(about_z, START[0, 3:])
            pose = np.array([[0.5, y, 0.3, *turn]])
            robot.command(CartesianCommand(pose, WIDTH, robot.clock.now_ns(), twist))
            for _ in range(5):
                robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
                true_y = 0.1 * (robot.clock.now_ns() - began) / 1e9
                late.append(abs(true_y - inner.emitted[-1][1]))
        behind[fed] = max(late[5:])
        assert violations(np.array(inner.emitted), PERIOD_NS / 1e9, robot.limits[0]) == []
    assert behind[True] < 1e-9
    assert behind[False] > 0.005


def test_bad_resets_move_nothing() -> None:
    robot, inner = safe()
    before = robot.read().setpoint
    for pose, gripper, kind in (
        (goal(0.5, 0.0, 0.7), WIDTH, SafetyError),
        (goal(0.5, np.nan, 0.3), WIDTH, PoisonedDataError),
        (START, np.array([np.nan]), PoisonedDataError),
        (START[0], WIDTH, SpecError),
    ):
        with pytest.raises(kind):
            robot.move_to(pose, gripper)
    robot.clock.sleep_until(robot.clock.now_ns() + 100_000_000)
    assert np.array_equal(robot.read().setpoint, before)
    assert all(np.array_equal(pose, before[0]) for pose in inner.emitted)


def test_an_arm_outside_its_workspace_is_not_started() -> None:
    inner = Recorder()
    limits = make_limits(workspace_low=(0.55, -0.3, 0.0))
    with pytest.raises(RobotFault, match="outside its workspace"):
        SafeRobot(inner, (limits,), stream_resets=False).connect()


def test_a_controller_stronger_than_declared_is_refused_before_it_connects() -> None:
    class Strong(FakeRobot):
        @property
        def gains(self) -> Mapping[str, float]:
            return {"translational_stiffness": 2000.0, "translational_clip": 0.1}

    with pytest.raises(SafetyError, match="200 N exceeds max_force = 20 N"):
        SafeRobot(Strong(), (make_limits(),))


def test_a_driven_reset_is_limited_rests_and_faults_when_blocked() -> None:
    bundle = make(teleport_resets=False)
    assert bundle.world is not None
    robot = bundle.robot
    assert isinstance(robot, SafeRobot)
    post = '<body name="wall" pos="0.5 -0.15 0.3"><geom type="box" size="0.3 0.02 0.3"/></body>'
    bundle.world.build(Scene(post))
    robot.connect()
    began = robot.clock.now_ns()
    robot.move_to(goal(0.5, 0.1, 0.25), np.array([0.04]))
    state = robot.read()
    assert np.abs(state.pose[0, :3] - (0.5, 0.1, 0.25)).max() < 2e-3
    assert np.abs(state.twist).max() < 5e-3
    way = np.linalg.norm(state.pose[0, :3] - (0.307, 0.0, 0.487))
    assert (robot.clock.now_ns() - began) / 1e9 > way / robot.limits[0].velocity
    with pytest.raises(RobotFault, match="was not reached"):
        robot.move_to(goal(0.5, -0.3, 0.25))
    state = robot.read()
    assert state.fault
    assert state.setpoint[0, 1] - state.pose[0, 1] == pytest.approx(0.0, abs=0.011)


def test_a_new_time_base_starts_from_where_the_robot_is() -> None:
    bundle = make()
    assert bundle.world is not None
    bundle.world.build(Scene(""))
    robot = bundle.robot
    robot.connect()
    robot.move_to(goal(0.6, 0.2, 0.1))
    now = robot.clock.now_ns()
    robot.command(CartesianCommand(goal(0.6, 0.25, 0.1), WIDTH, now))
    robot.clock.sleep_until(now + 100_000_000)
    bundle.world.reset(np.random.default_rng(3))
    home = robot.read().pose
    robot.clock.sleep_until(100_000_000)
    assert np.allclose(robot.read().pose[:, :3], home[:, :3], atol=1e-6)
    assert np.allclose(robot.read().setpoint[:, :3], home[:, :3], atol=1e-6)
