"""Run a robot's driver process by itself, or speak to one that runs; at the robot's host.

robot-rl driver robot=fr3 robot.address=172.16.0.2      runs until Ctrl-C; actors attach with
                                                         robot.driver.attach=fr3
robot-rl driver --name fr3 --status
robot-rl driver --name fr3 --trip                        stops the arm and latches a fault
robot-rl driver --name fr3 --rearm                       a person's word: clears it
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from robot_rl.commands.common import add_overrides, compose
from robot_rl.config import config_file, plain
from robot_rl.errors import ConfigError
from robot_rl.wire.locks import FileLock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser)
    parser.add_argument("--name", default=None, help="what actors attach to (the robot's config)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="what it does, and why it holds")
    what.add_argument("--trip", action="store_true", help="stop the arm and latch a fault")
    what.add_argument("--rearm", action="store_true", help="clear a latched fault")


def run(options: argparse.Namespace) -> int:
    launch: Any = importlib.import_module("robot_rl.drivers.remote.launch")
    cfg = compose(options)
    name = options.name or str(cfg.choices.robot)
    directory: Path = launch.standing_directory(name)
    if options.status or options.trip or options.rearm:
        person: Any = importlib.import_module("robot_rl.drivers.remote.person")
        if options.trip:
            person.trip(directory, "a person at the robot's host")
        if options.rearm:
            person.rearm(directory)
        print(person.status(directory))
        return 0
    return stand(cfg, directory, launch)


def stand(cfg: Any, directory: Path, launch: Any) -> int:
    """Runs driver and guardian in the foreground."""
    where = config_file(cfg, "robot")
    node = plain(cfg.robot)
    given = node.pop("driver", None) or {}
    fifo = bool(given.pop("fifo", False))
    given.pop("attach", None)
    try:
        settings = msgspec.convert({**given, "owned": False}, launch.DriverSettings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: driver: {error}") from error
    config = launch.DriverConfig(node, where, str(directory), settings, fifo)
    lock = FileLock(directory / "lock", f"driver '{directory.name}'")
    try:
        command = [
            sys.executable,
            "-m",
            config.process,
            "guard",
            msgspec.json.encode(config).decode(),
        ]
        environment = {**os.environ, "ROBOT_RL_PARENT": str(os.getpid())}
        with subprocess.Popen(command, env=environment) as guardian:
            try:
                return guardian.wait()
            except KeyboardInterrupt:
                guardian.terminate()
                return guardian.wait()
    finally:
        lock.release()
