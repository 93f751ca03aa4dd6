"""An actor's side alone: the control loop and its I/O process, on the robot's machine.

  robot-rl actor wire=tcp                                   (a learner on this machine)
  robot-rl actor wire.address=tcp://gpu-host:5601 wire.keys=default --id arm-left
  robot-rl actor wire=tcp teleop=keyboard                   (hands on, in a terminal)
  robot-rl actor resume=runs/actor-20261121-091500          (goes on, and sends what lies there)

Task, camera and action space must be those of the learner's run: the handshake compares them, and
lists how the robot differs (gains, limits), which it may.
The actor goes on with its last weights while the learner is away (actor.wait=never), and what it
sees is kept on disk until the learner has it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from robot_rl.commands.common import add_overrides, flags_of
from robot_rl.commands.output import emit
from robot_rl.commands.prepare import specification
from robot_rl.commands.resume import ACTING, dated, is_resumed, open_run
from robot_rl.commands.session import Session
from robot_rl.errors import ConfigError, InUseError
from robot_rl.factory import check_same_spec
from robot_rl.runtime.rundir import RunDir
from robot_rl.wire.spool_segment import holds_records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", help="the actor's name; one of its own for each machine (actor)")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    name = options.id or "actor"
    cfg, folder = open_run(options, lambda _: dated(name), ACTING)
    if is_resumed(options):
        name = known_name(folder, options.id)
    if cfg.wire.address is None:
        raise ConfigError(
            "where is the learner? valid: wire=tcp (tcp://127.0.0.1:5601), or "
            "wire.address=tcp://host:port wire.keys=default"
        )
    spec = specification(cfg)
    for other in unsent(folder.path.parent, name, folder.path):
        remedy = f"robot-rl actor resume={other} sends them"
        print(f"{other} may hold records that no learner has: {remedy}", file=sys.stderr)
    with folder.lock():
        if is_resumed(options):
            if note := check_same_spec(spec, folder.spec(), f"run {folder.path}"):
                print(note, file=sys.stderr)
            folder.write_config(cfg)
        else:
            folder.create(cfg, spec)
        session = Session(
            folder,
            quiet=options.json,
            with_learner=False,
            actor_id=name,
            flags=flags_of(options),
        )
        result = session.run()
    if options.json:
        emit(result)
    return 0


def known_name(folder: RunDir, given: str | None) -> str:
    """The name under which this run acted: its spools have it. ConfigError if another is given."""
    names = sorted({path.name.rpartition("-")[0] for path in folder.spools})
    if given is None and len(names) == 1:
        return names[0]
    name = given or "actor"
    if names and name not in names:
        raise ConfigError(f"--id {name}: {folder.path} acted as {', '.join(names)}")
    return name


def unsent(runs: Path, name: str, mine: Path) -> list[Path]:
    """Runs of this actor beside `mine` that nobody uses and whose spools hold records.

    A spool is removed when its actor ends and everything in it has been acknowledged.
    """
    found = []
    for path in sorted(runs.glob(f"{name}-*")):
        folder = RunDir(path)
        if path == mine or not any(holds_records(spool) for spool in folder.spools):
            continue
        with suppress(InUseError), folder.lock():
            found.append(path)
    return found
