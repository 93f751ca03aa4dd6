"""Entry point of a driver process and of its guardian; not a verb of its own.

  python -m robot_rl.commands.driver_process guard '<DriverConfig as JSON>'

The guardian starts the same module with `own`; that one builds the robot and serves it.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from robot_rl.config import build
from robot_rl.errors import ConfigError, RobotRLError
from robot_rl.interfaces import Bundle
from robot_rl.runtime.priority import ask_for_priority
from robot_rl.wire.parent import die_with_parent
from robot_rl.wire.process import stop_on_signals

FIRST_ACTOR_S = 60.0


def main(arguments: list[str]) -> int:
    stopping = stop_on_signals().is_set
    die_with_parent()
    try:
        if len(arguments) != 2 or arguments[0] not in ("guard", "own"):
            raise ConfigError("usage: driver_process guard|own '<DriverConfig as JSON>'")
        return (
            guard(arguments[1], stopping)
            if arguments[0] == "guard"
            else own(arguments[1], stopping)
        )
    except RobotRLError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 2


def guard(text: str, stopping: Callable[[], bool]) -> int:
    """The guardian: runs the driver and ends it when it hangs."""
    config = _config(text)
    ask_for_priority(fifo=config.fifo, nice=0)
    command = [sys.executable, "-m", config.process, "own", text]
    guardian = importlib.import_module("robot_rl.drivers.remote.guardian")
    return int(guardian.guard(Path(config.directory), command, stopping))


def own(text: str, stopping: Callable[[], bool]) -> int:
    """The driver: builds the robot of the config and serves it."""
    config = _config(text)
    directory = Path(config.directory)
    bundle: Bundle = build(config.robot, config.where)
    server_module = importlib.import_module("robot_rl.drivers.remote.server")
    server = server_module.DriverServer(bundle, directory, config.settings)
    granted = ask_for_priority(fifo=config.fifo, nice=0)
    print(f"driver of {config.where}: {granted}", file=sys.stderr, flush=True)
    (directory / "ready").touch()
    gc.freeze()
    if config.settings.owned and not server.wait_for_actor(FIRST_ACTOR_S, stopping):
        return 0
    server.run(stopping)
    return 0


def _config(text: str):  # type: ignore[no-untyped-def]
    launch = importlib.import_module("robot_rl.drivers.remote.launch")
    try:
        return msgspec.json.decode(text, type=launch.DriverConfig)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"DriverConfig: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
