"""Starts a driver process beside its guardian, and makes the robot and world that talk to it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from robot_rl.drivers.remote.link import DriverLink
from robot_rl.drivers.remote.robot import RemoteRobot
from robot_rl.drivers.remote.server import DriverSettings
from robot_rl.drivers.remote.world import RemoteWorld
from robot_rl.errors import ConfigError, RobotFault
from robot_rl.interfaces import Bundle
from robot_rl.wire.addresses import runtime_directory

PROCESS = "robot_rl.commands.driver_process"
"""The joiner that builds the robot; started, never imported."""
START_S = 90.0
END_S = 8.0


class DriverConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a driver process is started with."""

    robot: dict[str, Any]
    """The robot's config, with `_target_`."""
    where: str
    """The YAML file it comes from, for messages."""
    directory: str
    settings: DriverSettings
    fifo: bool = False
    """Ask for SCHED_FIFO, for driver and guardian."""
    process: str = PROCESS
    """The module that both run."""


class OwnedDriver:
    """A `Launcher` whose driver belongs to this process and ends with it."""

    def __init__(
        self,
        robot: Mapping[str, Any],
        where: str,
        settings: DriverSettings,
        *,
        fifo: bool = False,
        process: str = PROCESS,
    ) -> None:
        """robot: its config, with `_target_`; where: the file it is from."""
        self._robot, self._where, self._settings = dict(robot), where, settings
        self._fifo, self._process = fifo, process
        self._guardian: subprocess.Popen[bytes] | None = None
        self.directory = Path()

    def start(self) -> None:
        """A driver of its own, in a private directory of its own."""
        self.end()
        self.directory = runtime_directory(f"driver-{os.getpid()}-{secrets.token_hex(3)}")
        config = DriverConfig(
            self._robot,
            self._where,
            str(self.directory),
            self._settings,
            self._fifo,
            self._process,
        )
        environment = {**os.environ, "ROBOT_RL_PARENT": str(os.getpid())}
        with (self.directory / "log").open("wb") as log:
            self._guardian = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    self._process,
                    "guard",
                    msgspec.json.encode(config).decode(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._wait_for_socket()

    def verdict(self) -> str:
        with suppress(OSError):
            return (self.directory / "verdict").read_text()
        return ""

    def end(self) -> None:
        if self._guardian is None:
            return
        try:
            self._guardian.wait(END_S)
        except subprocess.TimeoutExpired:
            self._guardian.terminate()
            self._guardian.wait()
        self._guardian = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait_for_socket(self) -> None:
        assert self._guardian is not None
        deadline = time.monotonic() + START_S
        while not (self.directory / "ready").exists():
            if self._guardian.poll() is not None or time.monotonic() > deadline:
                log = (self.directory / "log").read_text(errors="replace").strip().splitlines()
                said = log[-1] if log else f"nothing within {START_S:.0f} s"
                self._guardian.terminate()
                self.end()
                kind = (
                    ConfigError if said.startswith(("ConfigError", "SafetyError")) else RobotFault
                )
                raise kind(f"the driver process did not start: {said}")
            time.sleep(0.01)


class StandingDriver:
    """A `Launcher` that finds a driver which `robot-rl driver` runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self) -> None:
        """Nothing to start."""

    def verdict(self) -> str:
        with suppress(OSError):
            return (self.directory / "verdict").read_text()
        return ""

    def end(self) -> None:
        """It goes on."""


def standing_directory(name: str) -> Path:
    """Where `robot-rl driver` keeps the socket of a robot's config."""
    return runtime_directory(f"driver-{name}")


def make(
    robot: Mapping[str, Any],
    where: str,
    *,
    attach: str = "",
    fifo: bool = False,
    **settings: Any,
) -> Bundle:
    """The robot of a config, in a driver process.

    attach: the name under which `robot-rl driver` runs one; empty starts one for this process.
    settings: see DriverSettings. ConfigError on a value that is not valid there.
    """
    try:
        typed = msgspec.convert(settings, DriverSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: driver: {error}") from error
    link = DriverLink(
        StandingDriver(standing_directory(attach))
        if attach
        else OwnedDriver(robot, where, typed, fifo=fifo)
    )
    return Bundle(RemoteRobot(link), RemoteWorld(link) if link.info.world else None)
