"""An actor's side alone: the control loop and its I/O process, on the robot's machine.

  robot-rl actor wire=tcp                                   (a learner on this machine)
  robot-rl actor wire.address=tcp://gpu-host:5601 wire.keys=default --id arm-left
  robot-rl actor wire=tcp teleop=keyboard                   (hands on, in a terminal)

Robot, task and camera must be those of the learner's run: the handshake compares everything.
The actor goes on with its last weights while the learner is away (actor.wait=never), and what it
sees is kept on disk until the learner has it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from robot_rl.commands.common import add_overrides, compose, emit, settings_of
from robot_rl.commands.prepare import specification
from robot_rl.commands.session import Session
from robot_rl.errors import ConfigError
from robot_rl.runtime.rundir import RunDir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--id", default="actor", help="the actor's name; one of its own for each machine (actor)"
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    cfg = compose(options)
    settings = settings_of(cfg)
    if cfg.wire.address is None:
        raise ConfigError(
            "where is the learner? valid: wire=tcp (tcp://127.0.0.1:5601), or "
            "wire.address=tcp://host:port wire.keys=default"
        )
    folder = RunDir(Path(settings.run or f"runs/{options.id}-{time.strftime('%Y%m%d-%H%M%S')}"))
    spec = specification(cfg)
    with folder.lock():
        folder.create(cfg, spec)
        session = Session(folder, quiet=options.json, with_learner=False, actor_id=options.id)
        result = session.run()
    if options.json:
        emit(result)
    return 0
