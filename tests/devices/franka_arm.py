"""The FR3 of configs/robot/fr3.yaml at the emulator: in process, or in a driver process."""

from __future__ import annotations

from typing import Any

import numpy as np

from robot_rl.config import build, load_config, plain
from robot_rl.drivers.remote.launch import make
from robot_rl.drivers.remote.robot import RemoteRobot
from robot_rl.drivers.robots.franka import FrankaRobot
from robot_rl.drivers.safe_robot import SafeRobot
from robot_rl.types import Array, Scene

CONFIG = [
    "robot=fr3",
    "robot.address=127.0.0.1",
    "robot.real_time_kernel=false",
    "robot.state_stale=0.5",
]
"""An emulator on a busy machine is away for longer than an arm would be."""
START = np.array([[0.45, 0.0, 0.25, 0.0, 1.0, 0.0, 0.0]])
OPEN = np.array([0.08])


def settings(*overrides: str) -> dict[str, Any]:
    node = plain(load_config([*CONFIG, *overrides]).robot)
    node.pop("driver")
    return node


def in_process(*overrides: str) -> tuple[SafeRobot, FrankaRobot]:
    """The safe robot and the device below it."""
    robot = build(settings(*overrides), "fr3.yaml").robot
    return robot, robot._inner


def in_driver(*overrides: str, **driver: Any) -> RemoteRobot:
    bundle = make(settings(*overrides), "fr3.yaml", **{"pacing": "free", **driver})
    assert bundle.world is not None
    bundle.world.build(Scene(""))
    robot = bundle.robot
    assert isinstance(robot, RemoteRobot)
    return robot


def shifted(pose: Array, delta: tuple[float, float, float]) -> Array:
    goal = pose.copy()
    goal[0, :3] += delta
    return goal
