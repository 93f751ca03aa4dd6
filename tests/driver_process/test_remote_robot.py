"""A robot in a driver process is the same robot: equal episodes, the conformance suite, its errors.

The simulation advances when it is waited for (`stepped`); nothing here depends on the wall's time.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from driven import WEAKENED

from robot_rl.config import load_config, plain
from robot_rl.drivers.remote.channel import Channel
from robot_rl.drivers.remote.launch import OwnedDriver, make
from robot_rl.drivers.remote.link import DriverLink
from robot_rl.drivers.remote.messages import Answer, Request
from robot_rl.drivers.remote.page import Phase
from robot_rl.drivers.remote.robot import RemoteRobot
from robot_rl.drivers.remote.server import DriverSettings
from robot_rl.drivers.remote.world import RemoteWorld
from robot_rl.errors import ConfigError, RobotFault, SafetyError, SpecError
from robot_rl.factory import make_env, make_robot
from robot_rl.testing.check_robot import ROBOT_CHECKS, check_name
from robot_rl.testing.robot_checks import Probe
from robot_rl.types import Array, CartesianCommand, Scene

STEPPED = DriverSettings(pacing="stepped", first_goal=0.0)


def stepped(*overrides: str, settings: DriverSettings = STEPPED) -> RemoteRobot:
    """The simulated FR3 in a driver process, with WEAKENED's guard out where that is set."""
    node = plain(load_config(["robot=fr3_sim", *overrides]).robot)
    node.pop("driver")
    process = WEAKENED if os.environ.get("WEAKENED") else "robot_rl.commands.driver_process"
    link = DriverLink(OwnedDriver(node, "fr3_sim.yaml", settings, process=process))
    RemoteWorld(link).build(Scene(""))
    return RemoteRobot(link)


@pytest.fixture
def robot() -> Iterator[RemoteRobot]:
    made = stepped()
    made.connect()
    yield made
    made.close()


def episodes(*overrides: str) -> list[Array]:
    """All that three short episodes of reach by its expert say, stamps included."""
    env = make_env(load_config(["task=reach", *overrides]))
    told = []
    try:
        for seed in range(3):
            now = env.reset(seed)
            for _ in range(12):
                stamps = np.array([now.reward, now.stamp_ns, now.boot_id])
                told.append(np.concatenate([now.obs["state"], now.executed, now.commanded, stamps]))
                if now.terminated:
                    break
                now = env.step(env.expert_action())  # type: ignore[attr-defined]
    finally:
        env.close()
    return told


@pytest.mark.parametrize("resets", ["true", "false"], ids=["placed", "driven"])
def test_episodes_are_equal_to_those_in_process(resets: str) -> None:
    here = episodes(f"robot.teleport_resets={resets}")
    there = episodes(f"robot.teleport_resets={resets}", "robot.driver={pacing: stepped}")
    assert len(here) == len(there)
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


FIRST = ("needs_connection", "fault_is_latched", "silence_holds", "refuses_not_finite", "close")
"""In the default lane; all of them in the slow one: each starts a process."""


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(c, marks=() if check_name(c) in FIRST else pytest.mark.slow)
        for c in ROBOT_CHECKS
    ],
    ids=check_name,
)
def test_conformance(check: Callable[[Probe], None]) -> None:
    probe = Probe(stepped)
    try:
        check(probe)
    finally:
        probe.robot.close()


def far(robot: RemoteRobot) -> CartesianCommand:
    state = robot.read()
    pose = state.setpoint.copy()
    pose[0, 1] += 0.2
    return CartesianCommand(pose, state.gripper_setpoint, state.stamp_ns)


def first_goal_is_refused() -> None:
    robot = stepped(settings=DriverSettings(pacing="stepped"))
    robot.connect()
    try:
        before = robot.read().setpoint
        robot.command(far(robot))
        robot.clock.sleep_until(robot.clock.now_ns() + 200_000_000)
        assert "first goal" in robot.read().fault
        assert np.array_equal(robot.read().setpoint, before)
        with pytest.raises(RobotFault, match="re-arms"):
            robot.command(far(robot))
        robot.rearm()
        assert not robot.read().fault
    finally:
        robot.close()


def test_a_first_goal_far_away_is_refused() -> None:
    first_goal_is_refused()


def test_a_first_goal_needs_its_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAKENED", "first")
    with pytest.raises(AssertionError):
        first_goal_is_refused()


def stop_in_a_driven_reset() -> None:
    """Real time passes in the driver; the stop comes from another thread of the actor."""
    robot = stepped(
        "robot.teleport_resets=false", "robot.real_time=true", settings=DriverSettings()
    )
    robot.connect()
    try:
        goal = robot.read().setpoint.copy()
        goal[0, :3] = (0.6, 0.25, 0.1)
        seen: list[tuple[Phase, float]] = []

        def stop() -> None:
            while robot.progress[0] is not Phase.MOVING or robot.progress[1] < 0.2:
                time.sleep(0.005)
            seen.append(robot.progress)
            robot.trip("a person")

        thread = threading.Thread(target=stop)
        thread.start()
        try:
            with pytest.raises(RobotFault, match="a person"):
                robot.move_to(goal)
        finally:
            thread.join()
        assert 0.2 <= seen[0][1] < 0.9
        away = np.abs(robot.read().setpoint[0, :3] - goal[0, :3]).max()
        assert away > 0.02, "the move went on"
        with pytest.raises(RobotFault, match="re-arms"):
            robot.move_to(goal)
        robot.rearm()
        robot.move_to(goal)
    finally:
        robot.close()


def test_a_stop_ends_a_driven_reset() -> None:
    stop_in_a_driven_reset()


def test_a_stop_needs_its_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAKENED", "stops")
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        stop_in_a_driven_reset()


def test_a_drivers_error_is_the_clients(robot: RemoteRobot) -> None:
    outside = robot.read().setpoint.copy()
    outside[0, 2] = 3.0
    with pytest.raises(SafetyError, match="workspace"):
        robot.move_to(outside)
    assert not robot.read().fault
    world = RemoteWorld(robot._link)
    with pytest.raises(SpecError, match="no object 'cube'"):
        world.object_pose("cube")


def test_a_second_actor_is_refused(robot: RemoteRobot) -> None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(str(robot._link._launcher.directory / "socket"))
    channel: Channel[Answer] = Channel(sock, Answer)
    channel.send(Request("hello", name="actor"))
    answer = channel.receive()
    assert answer.error == "RobotFault"
    assert "already has an actor" in answer.message
    robot.clock.sleep_until(robot.clock.now_ns() + 20_000_000)


def test_the_directory_is_private_and_goes_with_the_driver() -> None:
    robot = stepped()
    directory = robot._link._launcher.directory
    assert directory.stat().st_mode & 0o777 == 0o700
    robot.connect()
    robot.close()
    robot.close()
    assert not directory.exists()


def test_a_robot_that_cannot_be_built_is_one_readable_error() -> None:
    with pytest.raises(ConfigError, match=r"did not start.*stiffness"):
        stepped("robot.translational_stiffness=4000")


def test_settings_that_are_not_valid() -> None:
    with pytest.raises(ConfigError, match="driver"):
        make({"_target_": "x.y"}, "robot.yaml", pacing="sometimes")
    with pytest.raises(ConfigError, match="driver"):
        make_robot({"_target_": "x.y", "driver": "yes"}, "robot.yaml")
