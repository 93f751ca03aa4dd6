"""Describe or verify a dataset (an episode log).

robot-rl dataset info demos/pick_cube
robot-rl dataset verify runs/mine/log
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robot_rl.commands.output import emit
from robot_rl.data.dataset_info import dataset_info, verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "verify"))
    parser.add_argument("path", type=Path, help="the dataset's folder")


def run(options: argparse.Namespace) -> int:
    result = (dataset_info if options.action == "info" else verify)(options.path)
    if options.json:
        emit(result)
        return 0
    for key, value in result.items():
        print(f"{key:<18} {value}")
    return 0
