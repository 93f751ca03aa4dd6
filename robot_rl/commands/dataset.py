"""Describe, verify, merge or amend datasets (episode logs).

robot-rl dataset info demos/pick_cube
robot-rl dataset verify runs/mine/log
robot-rl dataset merge demos/mine demos/yours --out demos/ours
robot-rl dataset discard demos/mine --episode 7      (then record --append makes another)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from robot_rl.commands.output import emit
from robot_rl.data.dataset_info import dataset_info, verify
from robot_rl.data.edit import discard, merge
from robot_rl.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "verify", "merge", "discard"))
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a dataset's folder")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of merge: the new dataset")
    parser.add_argument("--episode", type=int, metavar="N", help="of discard: which, from 0 on")


def run(options: argparse.Namespace) -> int:
    result = act(options)
    if options.json:
        emit(result)
        return 0
    for key, value in result.items():
        print(f"{key:<18} {value}")
    return 0


def act(options: argparse.Namespace) -> dict[str, Any]:
    """Does what is asked; gives what there is to say."""
    if options.action == "merge":
        if options.out is None:
            raise ConfigError("merge writes a new dataset; valid: --out <folder>")
        return {"path": str(options.out), "episodes": merge(options.paths, options.out)}
    if len(options.paths) > 1:
        raise ConfigError(f"{options.action} takes one dataset; got {len(options.paths)}")
    (path,) = options.paths
    if options.action == "discard":
        if options.episode is None:
            raise ConfigError("which episode? valid: --episode <number>, the first one is 0")
        discard(path, options.episode)
        return {"path": str(path), "episodes": dataset_info(path)["episodes"]}
    return (dataset_info if options.action == "info" else verify)(path)
