"""Train on this machine: actors with their I/O processes, ingest, learner, evaluator.

  robot-rl train                                  pick up a cube, from twenty scripted demos
  robot-rl train task=reach agent.replay.utd=8 seed=3
  robot-rl train env=gym env.id=Pendulum-v1 agent=sac steps=5000
  robot-rl train resume=runs/mine steps=20000     go on where a run stopped
  robot-rl train -m seed=0,1,2                    one run after the other
  robot-rl train --cfg                            print the composed config and stop

Ctrl-C ends everything and saves; the same folder can be resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import add_overrides, compose, config_folders, flags_of
from robot_rl.commands.output import emit
from robot_rl.commands.prepare import prepare
from robot_rl.commands.resume import dated, open_run
from robot_rl.commands.session import Session
from robot_rl.config import quoted
from robot_rl.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep: key=a,b,c")
    parser.add_argument("--cfg", action="store_true", help="print the composed config and stop")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    if options.multirun:
        return sweep(options)
    if options.cfg:
        print(OmegaConf.to_yaml(compose(options)), end="")
        return 0
    cfg, folder = open_run(options, default_name)
    with folder.lock():
        prepare(cfg, folder, quiet=options.json)
        result = Session(folder, quiet=options.json, flags=flags_of(options)).run()
    if options.json:
        emit(result)
    return 0 if result["finished"] else 130


def default_name(cfg: DictConfig) -> str:
    """runs/<task>-<agent>-s<seed>-<date>."""
    task = str(cfg.env.id).replace("/", "_") if "id" in cfg.env else cfg.choices.task
    return dated(f"{task}-{cfg.choices.agent}-s{cfg.seed}")


def refuse_one_folder(jobs: Sequence[Sequence[str]]) -> None:
    """ConfigError where two jobs of a sweep would have the same folder."""
    for key in ("run", "resume"):
        named = [word for job in jobs for word in job if word.startswith(f"{key}=")]
        if "$" not in "".join(named) and len(set(named)) < len(named):
            raise ConfigError(
                f"'{named[0]}' is one folder for {len(jobs)} runs; valid: leave it out (each run "
                f"gets a folder of its own), or one that the swept values name: "
                f"'run=runs/sweep-${{seed}}'"
            )


def sweep(options: argparse.Namespace) -> int:
    """Each combination of the swept values as a run of its own, one after the other.

    With `--json` one list: `overrides`, the exit code and each run's own result.
    """
    parser = OverridesParser.create()
    overrides = [quoted(word) for word in options.overrides]
    batches = BasicSweeper.split_arguments(parser.parse_overrides(overrides), None)
    if len(batches[0]) > 1:
        refuse_one_folder(batches[0])
    quiet = ["--json"] * options.json + ["--insecure"] * options.insecure
    worst, results = 0, []
    folders = [f"--config-dir={folder}" for folder in config_folders(options)]
    for job in batches[0]:
        print(f"robot-rl train {' '.join(job)}", file=sys.stderr)
        command = [sys.executable, "-m", "robot_rl.cli", "train", *quiet, *folders, *job]
        done = subprocess.run(command, stdout=subprocess.PIPE if options.json else None)
        worst = max(worst, done.returncode)
        result = json.loads(done.stdout) if options.json and done.stdout.strip() else None
        results.append({"overrides": job, "exit_code": done.returncode, "result": result})
    if options.json:
        emit(results)
    return worst
