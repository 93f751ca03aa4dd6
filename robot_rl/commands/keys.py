"""Make, list and revoke the keys that let other hosts in (CURVE: authenticated and encrypted).

  robot-rl keys make learner --role server     on the learner's host
  robot-rl keys make arm-left --role actor     on the robot's host
  robot-rl keys list
  robot-rl keys revoke arm-left                on the learner's host; running sessions end too

A key is two files, NAME.key (public) and NAME.secret (0600; it never leaves its host). A host that
may connect is one whose NAME.key lies in the learner's folder, so carry the public files across,
one each way (public, but over a channel that nobody can change, as SSH):

  robot$   scp ~/.config/robot-rl/keys/arm-left.key gpu-host:.config/robot-rl/keys/
  robot$   scp gpu-host:.config/robot-rl/keys/learner.key ~/.config/robot-rl/keys/
  gpu$     robot-rl learner wire.address=tcp://0.0.0.0:5601 wire.keys=default ...
  robot$   robot-rl actor wire.address=tcp://gpu-host:5601 wire.keys=default --id arm-left

Roles: server (the learner's own key), actor (feeds the learner, gets weights), operator (sees the
run; pauses, goes on, stops: robot-rl watch; may amend episodes), viewer (sees the run). Names are
used once: a revoked key stays in the list, and a new one needs another name.
"""

from __future__ import annotations

import argparse
from typing import Any

from robot_rl.commands.output import emit
from robot_rl.errors import ConfigError
from robot_rl.wire.key_files import Key, Role
from robot_rl.wire.keys import KeyFolder, key_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("make", "list", "revoke"))
    parser.add_argument("name", nargs="?", default="", help="a-z A-Z 0-9 - _")
    parser.add_argument("--role", choices=[str(role) for role in Role], help="of a key to make")
    parser.add_argument(
        "--keys",
        metavar="FOLDER",
        help="where they are (ROBOT_RL_KEYS, else ~/.config/robot-rl/keys)",
    )


def run(options: argparse.Namespace) -> int:
    folder = KeyFolder(key_folder(options.keys))
    if options.role is not None and options.action != "make":
        raise ConfigError(f"--role has no meaning for 'keys {options.action}'")
    if options.action == "list":
        if options.name:
            raise ConfigError(f"keys list takes no name ('{options.name}')")
        show(folder, folder.keys(), options.json)
        return 0
    if not options.name:
        raise ConfigError(f"keys {options.action}: which? valid: a name")
    if options.action == "revoke":
        key = folder.revoke(options.name)
        text = f"revoked '{key.name}' ({key.role}); who runs with it is dropped within a second"
    else:
        if options.role is None:
            raise ConfigError(f"keys make {options.name}: valid: --role {'|'.join(Role)}")
        key = folder.make(options.name, Role(options.role))
        text = (
            f"made '{key.name}' ({key.role}) in {folder.path}; carry {key.name}.key to the other "
            "host, never the .secret (robot-rl keys --help shows how)"
        )
    if options.json:
        emit(facts(folder, key))
    else:
        print(text)
    return 0


def facts(folder: KeyFolder, key: Key) -> dict[str, Any]:
    """A key's row; never the secret."""
    return {
        "name": key.name,
        "role": str(key.role),
        "public": key.public,
        "secret_here": folder.has_secret(key.name),
        "created": key.created,
        "revoked": key.revoked or None,
    }


def show(folder: KeyFolder, keys: list[Key], as_json: bool) -> None:
    """All keys of a folder, one a line."""
    rows = [facts(folder, key) for key in keys]
    if as_json:
        emit({"folder": str(folder.path), "keys": rows})
        return
    print(folder.path)
    for row in rows:
        state = f"revoked {row['revoked']}" if row["revoked"] else f"made {row['created']}"
        here = "secret here" if row["secret_here"] else "public only"
        print(f"  {row['name']:<20} {row['role']:<9} {here:<12} {state:<29} {row['public']}")
