"""Re-arm a robot that holds after a fault or a stop, from a terminal at its host.

  robot-rl rearm runs/mine                  (shows why it holds, then re-arms)
  robot-rl rearm runs/mine --actor arm-0    (one of several)

Look at the robot first. Nothing in this program can know that it is safe to go on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from robot_rl.commands.output import emit
from robot_rl.errors import ConfigError, suggest
from robot_rl.runtime.rearm import ask, holding
from robot_rl.runtime.rundir import RunDir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="the run's folder on this host")
    parser.add_argument("--actor", default=None, help="re-arm this one only")


def run(options: argparse.Namespace) -> int:
    runtime = RunDir(options.run_dir).runtime()
    found = holding(runtime)
    if options.actor is not None and options.actor not in found:
        raise ConfigError(f"--actor {options.actor} holds nothing; {suggest(options.actor, found)}")
    if not found:
        raise ConfigError(f"no robot of '{options.run_dir}' holds on this host")
    chosen = [options.actor] if options.actor is not None else sorted(found)
    for actor in chosen:
        print(f"{actor} held: {found[actor]}; re-arming", file=sys.stderr)
        ask(runtime, actor)
    if options.json:
        emit([{"actor": actor, "fault": found[actor]} for actor in chosen])
    return 0
