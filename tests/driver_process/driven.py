"""A driver of the recorded robot, and what its recorder saw."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from robot_rl.drivers.remote.launch import OwnedDriver
from robot_rl.drivers.remote.link import DriverLink
from robot_rl.drivers.remote.robot import RemoteRobot
from robot_rl.drivers.remote.server import DriverSettings
from robot_rl.drivers.remote.world import RemoteWorld
from robot_rl.types import Array, CartesianCommand, Scene

FREE = DriverSettings()
WEAKENED = "weakened_process"


def connected(record: Path, settings: DriverSettings = FREE) -> RemoteRobot:
    """A robot in a driver process of this process's own, in real time, connected. With WEAKENED
    set in the environment, with that guard out."""
    config = {"_target_": "recorded_robot.make", "record": str(record)}
    process = WEAKENED if os.environ.get("WEAKENED") else "robot_rl.commands.driver_process"
    link = DriverLink(OwnedDriver(config, "recorded_robot", settings, process=process))
    RemoteWorld(link).build(Scene(""))
    robot = RemoteRobot(link)
    robot.connect()
    return robot


def follow(robot: RemoteRobot, shift: tuple[float, float, float]) -> None:
    """One command: the measured pose's setpoint moved by `shift` m, base axes."""
    state = robot.read()
    pose = state.setpoint.copy()
    pose[0, :3] += shift
    robot.command(CartesianCommand(pose, state.gripper_setpoint, state.stamp_ns))


@dataclass
class Record:
    """Times in ms of the robot's clock."""

    goals: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    """Of the device: where its springs are relaxed."""
    setpoints: list[tuple[int, Array]] = field(default_factory=list)
    hung: bool = False

    @classmethod
    def of(cls, path: Path) -> Record:
        record = cls()
        for line in path.read_text().splitlines():
            what, *words = line.split()
            if what == "goal":
                record.goals.append(int(words[0]))
            elif what == "set":
                at = np.array([float(word) for word in words[1:]])
                record.setpoints.append((int(words[0]), at))
            elif what == "set-stop":
                record.stops.append(int(words[0]))
            elif what == "hang":
                record.hung = True
        return record

    def stopped_after_last_goal(self) -> int:
        """ms from the last goal to the device's first stop after it; AssertionError if none."""
        after = [stop for stop in self.stops if stop >= self.goals[-1]]
        assert after, "the device was never stopped"
        return after[0] - self.goals[-1]

    def moves_after(self, late_ms: int) -> float:
        """m that the setpoint still went, from `late_ms` after the last goal on."""
        late = [at for when, at in self.setpoints if when >= self.goals[-1] + late_ms]
        return float(sum(np.linalg.norm(b - a) for a, b in pairwise(late)))
