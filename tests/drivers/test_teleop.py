"""Teleoperation devices: nobody, a script, a keyboard on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Iterator

import numpy as np
import pytest
from robot_rl.drivers.operators.null import NullTeleop
from robot_rl.intervention import InterventionState, arbitrate

from robot_rl.drivers.operators.keyboard import KeyboardTeleop
from robot_rl.drivers.operators.scripted import ScriptedTeleop
from robot_rl.errors import ConfigError
from robot_rl.types import Source


def test_nobody_is_always_hands_off() -> None:
    device = NullTeleop()
    assert device.read() is None
    device.close()


def test_a_script_takes_over_for_so_many_steps() -> None:
    device = ScriptedTeleop(lambda: np.full(7, 0.5, np.float32), every=5, length=2)
    hands, sources, ids = InterventionState(), [], []
    for _ in range(12):
        action, hands = arbitrate(np.zeros(7, np.float32), device.read(), hands)
        sources.append(action.source)
        ids.append(action.intervention_id)
    h, p = Source.HUMAN, Source.POLICY
    assert sources == [h, h, p, p, p, h, h, p, p, p, h, h]
    assert ids == [1, 1, 0, 0, 0, 2, 2, 0, 0, 0, 3, 3]


def test_a_script_longer_than_its_period_is_refused() -> None:
    with pytest.raises(ConfigError, match="length 6"):
        ScriptedTeleop(lambda: np.zeros(7, np.float32), every=5, length=6)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    person, device = pty.openpty()
    yield person, device
    os.close(person)
    os.close(device)


def test_keys_move_the_arm_and_letting_go_ends_it(terminal: tuple[int, int]) -> None:
    person, device = terminal
    keyboard = KeyboardTeleop(descriptor=device, hold_s=0.1, speed=0.5)
    assert keyboard.read() is None
    os.write(person, b"wr")
    time.sleep(0.02)
    sample = keyboard.read()
    assert sample is not None
    # r lifts: along -z of an end effector that points down
    assert sample.action.tolist() == [0.5, 0.0, -0.5, 0.0, 0.0, 0.0, 0.0]
    time.sleep(0.12)
    assert keyboard.read() is None
    keyboard.close()


def test_the_gripper_stays_as_it_was_told(terminal: tuple[int, int]) -> None:
    person, device = terminal
    keyboard = KeyboardTeleop(descriptor=device, hold_s=0.05)
    for key, grip in ((b"c", -1.0), (b"w", -1.0), (b"o", 1.0)):
        os.write(person, key)
        time.sleep(0.02)
        sample = keyboard.read()
        assert sample is not None
        assert sample.action[6] == grip
        time.sleep(0.06)
    keyboard.close()


def test_verdict_and_stop(terminal: tuple[int, int]) -> None:
    person, device = terminal
    keyboard = KeyboardTeleop(descriptor=device, hold_s=0.05)
    os.write(person, b"y")
    time.sleep(0.02)
    sample = keyboard.read()
    assert sample is not None
    assert sample.success is True
    os.write(person, b"x")
    time.sleep(0.02)
    sample = keyboard.read()
    assert sample is not None
    assert sample.stop
    keyboard.close()


def test_no_terminal_and_other_action_sizes_are_refused(terminal: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(ConfigError, match="needs a terminal"):
            KeyboardTeleop(descriptor=reading)
    finally:
        os.close(reading)
        os.close(writing)
    with pytest.raises(ConfigError, match="not 4"):
        KeyboardTeleop(descriptor=terminal[1], action_dim=4)
