"""Look at a run from anywhere, and command its actors.

  robot-rl watch runs/mine                                  a run whose learner is on this machine
  robot-rl watch tcp://gpu-host:5601 --keys                 with a viewer's or an operator's key
  robot-rl watch tcp://gpu-host:5601 --keys --pause         actors hold after the running episode
  robot-rl watch tcp://gpu-host:5601 --keys --run           and go on
  robot-rl watch tcp://gpu-host:5601 --keys --pause --actor arm-left
  robot-rl watch tcp://gpu-host:5601 --keys --stop          actors end after the running step

A command holds until the next one, for actors that come later too; one to everyone ends those to
single actors (--actor). An actor whose plant (gains, limits) differs from the log's is listed with
the differences. A learner alone whose actors were stopped waits for others; a train ends with them
and can be resumed. It is no emergency stop: that one is at the robot. Keys: robot-rl keys --help.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec

from robot_rl.commands.common import wire_of
from robot_rl.commands.output import emit
from robot_rl.errors import ConfigError, WireError
from robot_rl.runtime.rundir import RunDir
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import ClientKeys, KeyFolder, key_folder
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.protocol import ActorStats, ControlKind, Stats

FOLLOW_S = 1.0
SILENT_MS = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="a run's folder here, or the address that its actors use")
    command = parser.add_mutually_exclusive_group()
    for kind, text in (
        (ControlKind.PAUSE, "hold after the running episode"),
        (ControlKind.RUN, "go on"),
        (ControlKind.STOP, "end after the running step"),
    ):
        command.add_argument(
            f"--{kind.name.lower()}", dest="kind", action="store_const", const=kind, help=text
        )
    parser.add_argument(
        "--actor", default="", metavar="ID", help="command this one only; else everyone"
    )
    parser.add_argument("--follow", action="store_true", help="again each second, until Ctrl-C")
    parser.add_argument(
        "--keys", nargs="?", const="default", metavar="FOLDER", help="as wire.keys (default)"
    )
    parser.add_argument("--as", dest="name", default="", metavar="NAME", help="which key of mine")
    parser.add_argument("--insecure", action="store_true", help="another host's, without keys")


def run(options: argparse.Namespace) -> int:
    address, setting = where(options.target, options.keys)
    keys = None if setting is None else keys_of(setting, options.name, options.kind)
    if keys is None and options.name:
        raise ConfigError(f"--as {options.name} without --keys")
    with OperatorLink(address, keys=keys, insecure=options.insecure) as link:
        stats = controlled(link, options.kind, options.actor)
        show(stats, options.json)
        while options.follow:
            time.sleep(FOLLOW_S)
            show(link.stats(), options.json)
    return 0


def controlled(link: OperatorLink, kind: ControlKind | None, actor: str) -> Stats:
    """The statistics, after the command if there is one."""
    if kind is None:
        if actor:
            raise ConfigError(f"--actor {actor}: to do what? valid: --pause, --run, --stop")
        return link.stats()
    return link.set_control(kind, actor)


def where(target: str, keys: str | None) -> tuple[str, str | None]:
    """Address and key folder; an address is itself. Where a run's ingest runs on this machine it
    is its private address, where nobody but this user can be: no key is needed there."""
    if "://" in target:
        return target, keys
    folder = RunDir(Path(target))
    wire = wire_of(folder.config())
    learner_endpoint = folder.runtime() / "learner"
    if keys is None and learner_endpoint.exists():
        return f"ipc://{learner_endpoint}", None
    return wire.address or f"ipc://{folder.runtime()}/actors", keys or wire.keys


def keys_of(setting: str, name: str, kind: ControlKind | None) -> ClientKeys:
    """The named key; else the only viewer's, or the only operator's where that is needed."""
    folder = KeyFolder(key_folder(setting))
    if name:
        return folder.client(folder.read(name).role, name)
    try:
        return folder.client(Role.OPERATOR)
    except WireError:
        if kind is not None:
            raise
        return folder.client(Role.VIEWER)


def show(stats: Stats, as_json: bool) -> None:
    """One line for the run, one for each actor."""
    if as_json:
        document: dict[str, Any] = msgspec.to_builtins(stats)
        named = {actor: control.kind.name.lower() for actor, control in stats.controls.items()}
        emit(document | {"control": stats.control.kind.name.lower(), "controls": named})
        return
    learner = "never heard" if stats.learner_age_ms < 0 else f"heard {stats.learner_age_ms} ms ago"
    print(
        f"{stats.steps} of {stats.granted} steps, {stats.updates} updates, weights "
        f"{stats.weights_version}, learner {learner}; command {controls_of(stats)}; "
        f"denied {stats.denied}, refused {stats.refused}, quarantined {stats.quarantined}"
    )
    for actor in stats.actors:
        state = f"heard {actor.heard_ms} ms ago" if actor.connected else "not connected"
        print(
            f"  {actor.actor:<20} {actor.steps} steps, weights {actor.used_version}, {state}, "
            f"ring {actor.ring_depth}, spool {actor.spool_bytes >> 10} KiB"
            + condition(actor, stats.control_of(actor.actor).kind)
        )
        if actor.plant:
            print(f"  {'':<20} another plant than the log's: {'; '.join(actor.plant)}")


def controls_of(stats: Stats) -> str:
    """The command to everyone, and those to single actors."""
    words = [stats.control.kind.name.lower()]
    words += [f"{actor} {control.kind.name.lower()}" for actor, control in stats.controls.items()]
    return ", ".join(words)


def condition(actor: ActorStats, command: ControlKind) -> str:
    """What a person wants to know before going near: is it to pause, and does it rest already?"""
    words = ""
    if actor.connected and actor.actor_age_ms > SILENT_MS:
        words = f", its control loop silent for {actor.actor_age_ms / 1000:.0f} s"
    if actor.paused:
        words += ", paused" if actor.resting else ", pausing: its episode runs to its end"
    elif command is ControlKind.PAUSE:
        words += ", not heard to pause yet"
    return words
