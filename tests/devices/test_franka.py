"""The FR3's driver through franky and libfranka, on the vendor's protocol.

The emulator cannot be made to report a user stop or a contact reflex, and it forgets a reflex when
a client reconnects; re-arming is proven at the driver.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from conftest import ADDRESS, Emulator
from franka_arm import OPEN, START, in_driver, in_process, shifted

from robot_rl.cli import main
from robot_rl.drivers.safe_robot import SafeRobot
from robot_rl.errors import ConfigError, RobotFault, SafetyError
from robot_rl.testing.check_robot import ROBOT_CHECKS, check_name, check_robot
from robot_rl.types import CartesianCommand

franky = pytest.importorskip("franky")
PERIOD_NS = 20_000_000
SECOND = np.eye(7)[1]


def bare() -> franky.Robot:
    return franky.Robot(ADDRESS, realtime_config=franky.RealtimeConfig.Ignore)


def test_reads_what_the_twin_computes(emulator: Emulator) -> None:
    robot, device = in_process()
    robot.connect()
    try:
        state = robot.read()
        twin = np.array(device._twin.forward(0, state.q[0].tolist()))
        assert np.abs(state.pose[0] - twin).max() < 1e-3
        assert not state.fault
        assert state.gripper_width[0] == pytest.approx(0.08, abs=1e-3)
    finally:
        robot.close()
    emulator.require_quiet()


def test_another_tool_is_refused(emulator: Emulator) -> None:
    robot, _ = in_process("robot.tool=[0.0,0.0,0.15,0.92388,0.0,0.0,-0.38268]")
    with pytest.raises(RobotFault, match="tool centre point"):
        robot.connect()


def sine_error(robot: object, device: object, *, feed_forward: bool) -> float:
    """Mean error (m) of a 5 cm, 0.5 Hz sine over 4 s, after a second of it."""
    if not feed_forward:
        device._set_ns = 0  # type: ignore[attr-defined]
        device._target = lambda pose, velocity: type(device)._target(device, pose, np.zeros(6))  # type: ignore[attr-defined]
    clock, omega, errors = robot.clock, np.pi, []  # type: ignore[attr-defined]
    began = clock.now_ns()
    for turn in range(250):
        t = (clock.now_ns() - began) / 1e9
        y = 0.05 * np.sin(omega * t) * min(1.0, t)
        state = robot.read()  # type: ignore[attr-defined]
        velocity = np.array([[0.0, 0.05 * omega * np.cos(omega * t), 0.0, 0.0, 0.0, 0.0]])
        goal = shifted(START, (0.0, y, 0.0))
        robot.command(CartesianCommand(goal, OPEN, state.stamp_ns, velocity))  # type: ignore[attr-defined]
        if t > 1.0:
            errors.append(abs(state.pose[0, 1] - y))
        clock.sleep_until(began + (turn + 1) * PERIOD_NS)
    return float(np.mean(errors))


def test_feed_forward_tracks_a_sine(emulator: Emulator, record_property: object) -> None:
    errors = []
    for feed_forward in (False, True):
        robot, device = in_process()
        robot.connect()
        try:
            robot.move_to(START, OPEN)
            errors.append(sine_error(robot, device, feed_forward=feed_forward))
            assert not robot.read().fault
        finally:
            robot.close()
    record_property("mean_error_mm", [round(1e3 * error, 2) for error in errors])  # type: ignore[operator]
    plain, fed = 1e3 * errors[0], 1e3 * errors[1]
    print(f"5 cm, 0.5 Hz sine: {plain:.1f} mm plain, {fed:.1f} mm with feed-forward")
    emulator.require_quiet()
    assert errors[1] < errors[0]


def test_a_jump_without_clip_is_a_reflex_that_the_layer_prevents(emulator: Emulator) -> None:
    """10 cm at 2000 N/m. The bare SDK runs into the reflex, and then refuses to move."""
    robot, _ = in_process()
    robot.connect()
    try:
        robot.move_to(START, OPEN)
        for _ in range(25):
            state = robot.read()
            robot.command(CartesianCommand(shifted(START, (0.0, 0.1, 0.0)), OPEN, state.stamp_ns))
            robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
        assert not robot.read().fault
    finally:
        robot.close()
    emulator.require_quiet()
    arm = bare()
    tracker = franky.CartesianImpedanceTracker(
        arm,
        translational_stiffness=2000.0,
        rotational_stiffness=75.0,
        translational_error_clip=np.full(3, 1.0),
    )
    at = arm.state.O_T_EE
    tracker.set_target(franky.Affine(at.translation + np.array([0.0, 0.1, 0.0]), at.quaternion))
    deadline = time.monotonic() + 5.0
    while tracker.is_running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not tracker.is_running, "the emulator allowed what the arm would not"
    with pytest.raises(franky.ControlException, match=r"(?i)violation|reflex|discontinuity"):
        arm.join_motion()
    assert "Reflex" in str(arm.state.robot_mode)
    with pytest.raises(Exception, match=r"(?i)reflex|mode"):
        arm.move(franky.JointMotion(franky.JointState(arm.state.q)))


def test_a_frozen_driver_loses_the_arm_and_only_a_person_re_arms(emulator: Emulator) -> None:
    """SIGSTOP under a guardian that allows it: the arm aborts by itself after 20 lost cycles. (400
    ms: an emulator on a busy machine counts slowly.)"""
    robot = in_driver(allowed_ms=10_000)
    robot.connect()
    try:
        robot.move_to(START, OPEN)
        time.sleep(0.5)  # the tracker must have begun, else no cycle is lost
        driver = robot._link.info.pid
        os.kill(driver, signal.SIGSTOP)
        time.sleep(0.4)
        os.kill(driver, signal.SIGCONT)
        time.sleep(0.5)
        fault = robot.read().fault
        assert "communication" in fault, fault
        before = robot.read()
        for _ in range(5):
            with pytest.raises(RobotFault, match="a person re-arms"):
                robot.command(CartesianCommand(before.setpoint, OPEN, robot.read().stamp_ns))
            time.sleep(0.02)
        assert np.abs(robot.read().q - before.q).max() < 2e-3
        robot.rearm()
        assert not robot.read().fault
        robot.move_to(shifted(START, (0.0, 0.03, 0.0)), OPEN)
        assert np.abs(robot.read().pose[0, 1] - 0.03) < 5e-3
    finally:
        robot.close()


def test_a_hung_driver_is_ended_and_the_arm_stops(emulator: Emulator) -> None:
    """SIGSTOP for good, and kill -9: the guardian, then the vendor's own stop."""
    robot = in_driver()
    robot.connect()
    try:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            robot.move_to(START, OPEN)
            os.kill(robot._link.info.pid, number)
            deadline = time.monotonic() + 10.0
            while not robot.read().fault and time.monotonic() < deadline:
                time.sleep(0.01)
            assert robot.read().fault
            with pytest.raises(RobotFault):
                robot.command(CartesianCommand(START, OPEN, robot.read().stamp_ns))
            time.sleep(1.0)
            arm = bare()
            first = np.array(arm.state.q)
            time.sleep(0.3)
            assert np.abs(np.array(arm.state.q) - first).max() < 1e-3
            del arm
            robot.rearm()
            assert not robot.read().fault
    finally:
        robot.close()


def test_a_stop_ends_a_driven_reset(emulator: Emulator) -> None:
    from threading import Timer

    robot = in_driver("robot.reset_speed=0.05")
    robot.connect()
    try:
        Timer(0.5, robot.trip, ["a person"]).start()
        with pytest.raises(RobotFault, match="a person"):
            robot.move_to(START, OPEN)
        time.sleep(0.5)
        held = robot.read().q
        with pytest.raises(RobotFault, match="re-arms"):
            robot.move_to(START, OPEN)
        assert np.abs(robot.read().q - held).max() < 1e-3
        robot.rearm()
        robot.move_to(START, OPEN)
    finally:
        robot.close()


def test_the_gripper_moves_in_a_thread_of_its_own(emulator: Emulator) -> None:
    robot, _ = in_process()
    robot.connect()
    try:
        robot.move_to(START, np.array([0.03]))
        robot.clock.sleep_until(robot.clock.now_ns() + 1_000_000_000)
        assert robot.read().gripper_width[0] == pytest.approx(0.03, abs=2e-3)
    finally:
        robot.close()
    emulator.require_quiet()


CHECKS = [check for check in ROBOT_CHECKS if check_name(check) != "motion_limits"]
"""That one samples setpoints by the wall's time; the test after this one judges each by its own."""


def test_conformance(emulator: Emulator) -> None:
    """The suite that every robot passes, in real time, on one arm."""

    def fresh() -> SafeRobot:
        guided_home()
        return in_process()[0]

    done = check_robot(fresh, checks=CHECKS)
    assert len(done) == len(CHECKS)
    emulator.require_quiet()


def guided_home() -> None:
    """As a person guides the arm: near the middle of its workspace."""
    arm = bare()
    arm.relative_dynamics_factor = 0.3
    arm.move(franky.JointMotion(franky.JointState(np.array([0, -0.5, 0, -2.3, 0, 1.8, 0.785]))))


def test_no_setpoint_outside_the_limits_reaches_the_arm(emulator: Emulator) -> None:
    """Random goals for 10 s, recorded below the safety layer with the time of each setpoint."""
    robot, device = in_process()
    robot.connect()
    emitted: list[tuple[int, np.ndarray]] = []
    target = device._target

    def recorded(pose: np.ndarray, velocity: np.ndarray | None) -> None:
        emitted.append((device.clock.now_ns(), pose.copy()))
        target(pose, velocity)

    rng = np.random.default_rng(3)
    try:
        robot.move_to(START, OPEN)
        device._target = recorded
        for _ in range(100):
            goal = shifted(START, tuple(rng.uniform(-0.4, 0.4, 3)))
            robot.command(CartesianCommand(goal, OPEN, robot.read().stamp_ns))
            robot.clock.sleep_until(robot.clock.now_ns() + 100_000_000)
        assert not robot.read().fault
    finally:
        robot.close()
    times = np.array([when for when, _ in emitted]) / 1e9
    poses = np.array([pose for _, pose in emitted])
    assert len(poses) > 400
    assert np.isfinite(poses).all()
    low, high = np.array(robot.limits[0].workspace_low), np.array(robot.limits[0].workspace_high)
    assert (poses[:, :3] >= low - 1e-9).all()
    assert (poses[:, :3] <= high + 1e-9).all()
    ticks = np.maximum(np.diff(times), 0.02)
    speed = np.linalg.norm(np.diff(poses[:, :3], axis=0), axis=1) / ticks
    assert speed.max() <= robot.limits[0].velocity * 1.001
    assert np.diff(times).min() >= 0.0145, "setpoints came in a burst"
    emulator.require_quiet()


def test_resets_stay_inside_the_workspace(emulator: Emulator) -> None:
    robot, device = in_process()
    robot.connect()
    try:
        robot.move_to(START, OPEN)
        start = robot.read().q[0]
        with pytest.raises(SafetyError, match="leaves the workspace"):
            device._check_way(start, start + 1.2 * SECOND)
        device._check_way(start, start + 0.02 * SECOND)
    finally:
        robot.close()


def test_a_dry_run_commands_nothing(emulator: Emulator) -> None:
    robot, _ = in_process("robot.dry_run=true")
    robot.connect()
    try:
        q = robot.read().q
        robot.move_to(START, OPEN)
        for _ in range(10):
            robot.command(CartesianCommand(START, OPEN, robot.read().stamp_ns))
            robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
        assert np.abs(robot.read().q - q).max() < 1e-6
    finally:
        robot.close()


def test_no_address_is_one_readable_error() -> None:
    with pytest.raises(ConfigError, match="address"):
        in_process("robot.address=''")


def test_a_wrong_address_is_one_readable_error() -> None:
    robot, _ = in_process("robot.address=127.0.0.9")
    with pytest.raises(RobotFault, match=r"no Franka arm at 127\.0\.0\.9"):
        robot.connect()


def test_doctor_looks_at_the_arm(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "robot=fr3", f"robot.address={ADDRESS}"]) == 0
    out = capsys.readouterr().out
    assert "ok   mode" in out
    assert "ok   gripper" in out
    assert out.endswith("it can run\n")
    emulator.require_quiet()
