"""A stop is heard whatever the loop does; how soon is counted in ticks of the robot's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.safe_robot import PERIOD_NS
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.tasks.reach import Reach
from robot_rl.errors import RobotFault
from robot_rl.rollout.stop_watch import StopWatcher
from robot_rl.testing.fake_operators import FakeOperator


class PressedWhile(FakeOperator):
    """Pressed from the moment that `when()` is true on."""

    def __init__(self, when: Callable[[], bool]) -> None:
        super().__init__([])
        self.when = when

    def stopped(self) -> bool:
        return self.when()


def settled(env: RobotEnv, operator: FakeOperator) -> None:
    """Waits, in real time, for the watcher to have tripped the environment."""
    deadline = time.monotonic() + 30
    while not env.robot.read().fault and time.monotonic() < deadline:
        time.sleep(0.001)


def test_it_is_heard_while_nothing_acts() -> None:
    env, operator = RobotEnv(make(), Reach()), FakeOperator([])
    env.reset(0)
    env.rest()
    with StopWatcher(operator, env):
        operator.press_stop()
        settled(env, operator)
    assert "emergency stop" in env.robot.read().fault
    env.close()


def test_a_driven_reset_is_cut_short() -> None:
    """The arm is on its way to the start pose: it gets there only without the guard."""
    env = RobotEnv(make(teleport_resets=False), Reach())
    env.reset(0)
    for _ in range(20):
        env.step(np.array([1, 1, 0, 0, 0, 0, 1], np.float32))
    clock = env.robot.clock
    begun = clock.now_ns()
    pressed = threading.Event()
    operator = PressedWhile(pressed.is_set)
    seen: list[int] = []

    def tick() -> None:
        if not pressed.is_set() and clock.now_ns() >= begun + 5 * PERIOD_NS:
            pressed.set()
            settled_by = time.monotonic() + 30
            # The simulated clock stands still here until the watcher's thread has tripped.
            while not env.robot.read().fault and time.monotonic() < settled_by:
                time.sleep(0.001)
            seen.append(clock.now_ns())

    clock.every(PERIOD_NS, tick)
    with StopWatcher(operator, env), pytest.raises(RobotFault, match="emergency stop"):
        env.robot.move_to(np.array([[0.45, -0.1, 0.3, 0.0, 1.0, 0.0, 0.0]]))
    assert seen
    assert clock.now_ns() - seen[0] <= 2 * PERIOD_NS
    env.close()


def test_a_stop_between_steps_takes_effect_within_a_tick() -> None:
    env, operator = RobotEnv(make(), Reach()), FakeOperator([])
    env.reset(0)
    for _ in range(3):
        env.step(np.array([1, 0, 0, 0, 0, 0, 1], np.float32))
    with StopWatcher(operator, env):
        operator.press_stop()
        settled(env, operator)
    clock = env.robot.clock
    clock.sleep_until(clock.now_ns() + PERIOD_NS)
    at = env.robot.read().pose[0, :3].copy()
    clock.sleep_until(clock.now_ns() + 25 * PERIOD_NS)
    moved = float(np.linalg.norm(env.robot.read().pose[0, :3] - at))
    assert moved < 0.02, "it brakes from full speed"
    assert "emergency stop" in env.robot.read().fault
    env.close()
