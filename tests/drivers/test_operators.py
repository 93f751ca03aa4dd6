"""Operators: nobody, a script, several at once, a keyboard on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from robot_rl.drivers.operators.keyboard import KeyboardOperator
from robot_rl.drivers.operators.scripted import ScriptedOperator
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import ConfigError, SpecError
from robot_rl.rollout.operators import Nobody, Several
from robot_rl.testing.check_operator import check_operator
from robot_rl.testing.fake_operators import FakeOperator, sample_of
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Context, Event, OperatorSample


def context() -> Context:
    env = RobotEnv(fake_bundle(), FakeTask())
    step = env.reset(0)
    return Context(step, None, env.hold())


HERE = context()


def test_the_shipped_operators_conform() -> None:
    env = RobotEnv(fake_bundle(), FakeTask())
    env.reset(0)
    check_operator(Nobody(), env)
    check_operator(ScriptedOperator(env.expert_action, every=2, length=1), env)
    check_operator(Several([Nobody(), FakeOperator([sample_of(0.5)])]), env)


def test_a_script_takes_over_for_so_many_steps() -> None:
    operator = ScriptedOperator(lambda: np.full(7, 0.5, np.float32), every=5, length=2)
    on = [operator.read(HERE) is not None for _ in range(12)]
    assert on == [True, True, False, False, False] * 2 + [True, True]


def test_a_script_longer_than_its_period_is_refused() -> None:
    with pytest.raises(ConfigError, match="length 6"):
        ScriptedOperator(lambda: np.zeros(7, np.float32), every=5, length=6)


def test_of_several_the_first_with_hands_on_keeps_the_robot() -> None:
    left = FakeOperator([None, sample_of(0.1), sample_of(0.1), None, sample_of(0.1)])
    right = FakeOperator([sample_of(0.9), sample_of(0.9), None, None, sample_of(0.9)])
    both = Several([left, right])
    moved = [both.read(HERE) for _ in range(5)]
    x = [None if s is None or s.motion is None else float(s.motion[0]) for s in moved]  # type: ignore[index]
    assert x == pytest.approx([0.9, 0.9, 0.1, None, 0.1], nan_ok=True)


def test_of_several_all_may_stop_and_judge() -> None:
    mover = FakeOperator([sample_of(0.5)])
    judge = FakeOperator([OperatorSample(None, time.monotonic_ns(), Event.SUCCESS)])
    both = Several([mover, judge])
    sample = both.read(HERE)
    assert sample is not None
    assert sample.events is Event.SUCCESS
    assert sample.motion is not None
    assert not both.stopped()
    judge.press_stop()
    assert both.stopped()


def test_of_several_all_are_closed_whatever_one_raises() -> None:
    first, last = FakeOperator([]), FakeOperator([])
    broken = FakeOperator([], closing=OSError("unplugged"))
    with pytest.raises(OSError, match="unplugged"):
        Several([first, broken, last]).close()
    assert first.closed
    assert last.closed


def test_several_of_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="empty"):
        Several([])


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    person, device = pty.openpty()
    yield person, device
    for descriptor in (person, device):
        with suppress(OSError):
            os.close(descriptor)


def pressed(keyboard: KeyboardOperator, person: int, keys: bytes) -> OperatorSample:
    """What is read once the thread has seen these keys."""
    os.write(person, keys)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        sample = keyboard.read(HERE)
        if sample is not None:
            return sample
        time.sleep(0.002)
    raise AssertionError(f"{keys!r} were not seen")


def released(keyboard: KeyboardOperator) -> None:
    deadline = time.monotonic() + 20
    while keyboard.read(HERE) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_keys_move_the_arm_and_letting_go_ends_it(terminal: tuple[int, int]) -> None:
    person, device = terminal
    keyboard = KeyboardOperator(descriptor=device, hold_s=0.3, speed=0.5)
    assert keyboard.read(HERE) is None
    motion = pressed(keyboard, person, b"wr").motion
    # r lifts: along -z of an end effector that points down
    assert isinstance(motion, np.ndarray)
    np.testing.assert_array_equal(motion[:6], [0.5, 0.0, -0.5, 0.0, 0.0, 0.0])
    released(keyboard)
    keyboard.close()
    keyboard.close()


def test_only_its_own_keys_move_the_gripper(terminal: tuple[int, int]) -> None:
    """An object in the hand is dropped by a takeover that names a width of its own."""
    person, device = terminal
    keyboard = KeyboardOperator(descriptor=device, hold_s=0.1)
    for key, grip in ((b"w", np.nan), (b"c", -1.0), (b"w", np.nan), (b"o", 1.0)):
        motion = pressed(keyboard, person, key).motion
        assert isinstance(motion, np.ndarray)
        np.testing.assert_array_equal(motion[6], grip)
        released(keyboard)
    keyboard.close()


@pytest.mark.parametrize(
    ("key", "event"),
    [
        (b"y", Event.SUCCESS),
        (b"n", Event.FAILURE),
        (b"u", Event.DISCARD),
        (b"b", Event.REWIND),
        (b"m", Event.REARM),
        (b"p", Event.PAUSE),
        (b"x", Event.STOP),
    ],
)
def test_a_button_alone_moves_nothing(terminal: tuple[int, int], key: bytes, event: Event) -> None:
    person, device = terminal
    keyboard = KeyboardOperator(descriptor=device, hold_s=0.05)
    sample = pressed(keyboard, person, key)
    assert sample.motion is None
    assert sample.events is event
    keyboard.close()


def test_a_stop_is_seen_without_a_reading_and_until_one(terminal: tuple[int, int]) -> None:
    person, device = terminal
    keyboard = KeyboardOperator(descriptor=device, hold_s=0.05)
    os.write(person, b"x")
    deadline = time.monotonic() + 20
    while not keyboard.stopped():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert keyboard.read(HERE) is not None
    assert not keyboard.stopped()
    keyboard.close()


def test_a_terminal_that_is_gone_leaves_an_old_stamp() -> None:
    """So that arbitration holds the arm: the last keys do not move it for ever."""
    person, device = pty.openpty()
    keyboard = KeyboardOperator(descriptor=device, hold_s=1000.0)
    first = pressed(keyboard, person, b"w")
    os.close(person)
    keyboard._thread.join(20)
    assert not keyboard._thread.is_alive()
    last, later = keyboard.read(HERE), keyboard.read(HERE)
    assert last is not None
    assert later is not None
    assert first.stamp_ns <= last.stamp_ns == later.stamp_ns
    assert isinstance(last.motion, np.ndarray)
    keyboard.close()
    os.close(device)


def test_no_terminal_and_other_action_sizes_are_refused(terminal: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(ConfigError, match="needs a terminal"):
            KeyboardOperator(descriptor=reading)
    finally:
        os.close(reading)
        os.close(writing)
    with pytest.raises(ConfigError, match="not 4"):
        KeyboardOperator(descriptor=terminal[1], action_dim=4)


def test_the_checks_find_what_they_look_for() -> None:
    env = RobotEnv(fake_bundle(), FakeTask())
    env.reset(0)
    good = sample_of(0.5)
    for wrong, hint in (
        (replace(good, motion=np.full(3, 0.5, np.float32)), "shape"),
        (replace(good, motion=np.full(7, np.inf, np.float32)), "infinite"),
        (replace(good, motion=np.full(7, 2.0, np.float32)), "beyond"),
        (replace(good, stamp_ns=time.monotonic_ns() + 10**12), "future"),
    ):
        with pytest.raises(SpecError, match=hint):
            check_operator(FakeOperator([wrong]), env)
    slow = FakeOperator([good], closing=OSError("twice"))
    with pytest.raises(OSError, match="twice"):
        check_operator(slow, env)
