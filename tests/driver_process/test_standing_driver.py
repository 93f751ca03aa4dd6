"""`robot-rl driver`: a driver that outlives its actors. An actor's death needs a person."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from robot_rl.drivers.remote.launch import make, standing_directory
from robot_rl.errors import RobotFault
from robot_rl.interfaces import Bundle
from robot_rl.types import Scene

CLI = [sys.executable, "-m", "robot_rl.cli", "driver"]
ACTOR = """
import sys, time
from robot_rl.drivers.remote.launch import make
from robot_rl.types import CartesianCommand
bundle = make({}, "", attach=sys.argv[1])
bundle.robot.connect()
print("driving", flush=True)
while True:
    state = bundle.robot.read()
    bundle.robot.command(CartesianCommand(state.setpoint, state.gripper_setpoint, state.stamp_ns))
    time.sleep(0.02)
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A driver of the simulated FR3 in real time that stands."""
    name = f"t-{secrets.token_hex(4)}"
    directory = standing_directory(name)
    overrides = ["robot=fr3_sim", "robot.real_time=true", "robot.teleport_resets=false"]
    process = subprocess.Popen([*CLI, *overrides, "--name", name])
    try:
        while not (directory / "ready").exists():
            assert process.poll() is None
            time.sleep(0.02)
        yield name
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def attached(name: str) -> Bundle:
    bundle = make({}, "", attach=name)
    assert bundle.world is not None
    return bundle


def person(name: str, word: str) -> str:
    done = subprocess.run(
        [*CLI, "--name", name, word], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_actors_come_and_go_and_a_death_needs_a_person(name: str) -> None:
    first = attached(name)
    assert first.world is not None
    first.world.build(Scene(""))
    first.robot.connect()
    assert "holding" in person(name, "--status")
    first.robot.close()
    assert "ready" in person(name, "--status")

    process = subprocess.Popen([sys.executable, "-c", ACTOR, name], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while "ready" not in person(name, "--status") and time.monotonic() < deadline:
        time.sleep(0.1)
    second = attached(name)
    with pytest.raises(RobotFault, match="re-arms at the robot's host"):
        second.robot.connect()
    person(name, "--rearm")
    second.robot.connect()
    assert not second.robot.read().fault

    assert "a person" in person(name, "--trip") or second.robot.read().fault
    while not second.robot.read().fault:
        time.sleep(0.01)
    state = second.robot.read()
    assert "a person at the robot's host" in state.fault
    person(name, "--rearm")
    while second.robot.read().fault:
        time.sleep(0.01)
    second.robot.close()


def test_one_name_one_driver(name: str) -> None:
    done = subprocess.run(
        [*CLI, "robot=fr3_sim", "--name", name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "in use by process" in done.stderr


def test_nobody_there() -> None:
    done = subprocess.run(
        [*CLI, "--name", f"t-{os.getpid()}", "--rearm"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no driver runs" in done.stderr
