"""The learner's side alone: ingest and learner, on the machine with the GPU.

  robot-rl learner run=runs/far wire=tcp demos.path=demos/mine agent.learner.device=cuda
  robot-rl actor wire=tcp                       (elsewhere on this machine)

No environment is built and no robot is needed: the specification is the first actor's. Across two
hosts: wire.address=tcp://0.0.0.0:5601 wire.keys=default here, the host's name there; robot-rl keys
--help says how to make the keys.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import (
    add_overrides,
    flags_of,
    numbers_of,
    schedule_of,
    settings_of,
    settle_precision,
)
from robot_rl.commands.output import emit
from robot_rl.commands.prepare import check_device, demo_warnings, named_dataset, same_demos, say
from robot_rl.commands.resume import dated, is_resumed, open_run, rewrite
from robot_rl.commands.session import Session
from robot_rl.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--evaluator", action="store_true", help="also evaluate snapshots here (simulation only)"
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    cfg, folder = open_run(options, named_by_agent)
    check_device(cfg)
    acts, spec = schedule_of(cfg).acts, None
    settle_precision(cfg)
    if numbers_of(cfg).demo_ratio > 0:
        if cfg.demos.path is None:
            raise ConfigError(
                "the learner alone records no demonstrations; valid: demos.path=<dataset>, "
                "or agent=sac (agent.replay.demo_ratio=0)"
            )
        path, found = named_dataset(cfg.demos.path)
        say(demo_warnings(path, settings_of(cfg).demos.episodes))
        OmegaConf.update(cfg, "demos.path", str(path))
        spec = found if not acts else None  # else that of the first actor
    OmegaConf.update(cfg, "run", None)
    with folder.lock():
        if not is_resumed(options):
            folder.create(cfg, spec)
        if cfg.demos.path is not None:
            same_demos(folder, Path(cfg.demos.path))
        if is_resumed(options):
            rewrite(folder, cfg)
        session = Session(
            folder,
            quiet=options.json,
            flags=flags_of(options),
            with_actors=False,
            with_evaluator=options.evaluator,
        )
        result = session.run()
    if options.json:
        emit(result)
    return 0 if result["finished"] else 130


def named_by_agent(cfg: DictConfig) -> str:
    """runs/learner-<agent>-s<seed>-<date>: the task is its actors'."""
    return dated(f"learner-{cfg.choices.agent}-s{cfg.seed}")
