"""Invariant I2: whatever is asked for, NaN, infinities and the far end of the room included, every
setpoint that reaches the arm is finite and inside all limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fault_guards import without
from fault_recorder import Broken

from robot_rl.drivers.limits import FR3, limits_within
from robot_rl.drivers.safe_robot import PERIOD_NS, SafeRobot
from robot_rl.errors import PoisonedDataError, RobotFault, SpecError
from robot_rl.testing.fakes import FakeRobot
from robot_rl.testing.motion import violations
from robot_rl.types import Array, CartesianCommand, Command

START = [0.5, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0]
BAD = (np.nan, np.inf, -np.inf, 1e30, -1e300)


class Recorder(FakeRobot):
    """Keeps every pose that it is sent."""

    def __init__(self) -> None:
        super().__init__(speed=100.0, angular_speed=100.0)
        self.emitted: list[Array] = [np.array(START)]

    def command(self, command: Command) -> None:
        finite = np.isfinite(command.pose).all() and np.isfinite(command.gripper).all()
        self.emitted.append(command.pose[0].copy() if finite else np.full(7, np.nan))
        if finite:
            super().command(command)


def random_command(rng: np.random.Generator, stamp_ns: int) -> Command:
    """Somewhere in and around the workspace; one in ten has a bad number somewhere."""
    quat = rng.normal(size=4)
    pose = np.array([[*rng.uniform((0.0, -1, -0.5), (1.2, 1, 1)), *(quat / np.linalg.norm(quat))]])
    gripper = rng.uniform(-1, 1, 1)
    if rng.uniform() < 0.1:
        (pose[0] if rng.uniform() < 0.8 else gripper)[0] = rng.choice(BAD)
    if rng.uniform() < 0.02:
        pose[0, rng.integers(7)] = rng.choice(BAD)
    return CartesianCommand(pose, gripper, stamp_ns)


def emitted_by(commands: int, seed: int) -> Array:
    """Setpoints (n, 7) that reach the arm; Broken where one is not finite or breaks a limit."""
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
    limits = replace(limits, joint_low=(-3.0,) * 7, joint_high=(3.0,) * 7)
    inner, rng = Recorder(), np.random.default_rng(seed)
    robot = SafeRobot(inner, (limits,), stream_resets=False)
    robot.connect()
    refused = failed = 0
    for _ in range(commands):
        now = robot.clock.now_ns()
        try:
            robot.command(random_command(rng, now))
        except (PoisonedDataError, SpecError):
            refused += 1
        except (RobotFault, ArithmeticError, ValueError):
            failed += 1
        try:
            robot.clock.sleep_until(now + int(rng.integers(1, 3)) * PERIOD_NS)
        except (ArithmeticError, ValueError):
            failed += 1
    poses = np.array(inner.emitted)
    if not np.isfinite(poses).all():
        raise Broken(f"{int((~np.isfinite(poses)).any(axis=1).sum())} setpoints are not finite")
    if wrong := violations(poses, PERIOD_NS / 1e9, limits):
        raise Broken("; ".join(wrong))
    if failed:
        raise Broken(f"{failed} commands did what no command may")
    assert refused > commands // 20
    return poses


def test_random_and_poisoned_commands() -> None:
    assert len(emitted_by(1500, seed=0)) > 2000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_random_and_poisoned_commands_at_length(seed: int) -> None:
    assert len(emitted_by(25_000, seed=seed)) > 35_000


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_and_poisoned_commands_twin() -> None:
    with without("commands_are_checked"), pytest.raises(Broken, match="not finite"):
        emitted_by(300, seed=0)
