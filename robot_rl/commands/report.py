"""Write a run's self-contained HTML report, or compare several runs.

robot-rl report runs/mine
robot-rl report runs/seed0 runs/seed1 runs/seed2     (pooled curve with its interval)
robot-rl report runs/a runs/b --out comparisons/ab   (a folder for comparison.html and .svg)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robot_rl.commands.output import emit
from robot_rl.errors import ConfigError
from robot_rl.report.page import compare_runs, write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where a comparison goes (beside the runs)"
    )


def run(options: argparse.Namespace) -> int:
    for path in options.runs:
        if not (path / "config.yaml").exists():
            raise ConfigError(f"'{path}' is no run (config.yaml is missing)")
    runs = options.runs
    if len(runs) == 1 and options.out is not None:
        raise ConfigError("--out is for comparisons; one run's report.html is in its folder")
    page = write_report(runs[0]) if len(runs) == 1 else compare_runs(runs, options.out)
    if options.json:
        emit({"report": str(page)})
    else:
        print(page)
    return 0
