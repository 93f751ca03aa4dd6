"""The folder of a new run, or of the one that resume=<folder> names, with the changes it allows."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import compose, config_folders, settings_of, what_is_learned
from robot_rl.commands.trust import check_targets
from robot_rl.config import parse_value
from robot_rl.errors import ConfigError
from robot_rl.runtime.changes import ask
from robot_rl.runtime.rundir import RunDir

MISSING = object()
"""Of a key that is not there; one that is null may be changed."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What may change in a resumed run."""

    keys: Sequence[str]
    sections: Sequence[str]

    def allow(self, key: str) -> bool:
        if key in self.keys:
            return True
        section, dot, name = key.partition(".")
        return section in self.sections and bool(dot) and not name.endswith("_target_")

    def __str__(self) -> str:
        return ", ".join([*self.keys, *(f"{section}.*" for section in self.sections)])


LEARNING = Changes(
    ("steps", "console", "actors"),
    ("evaluation", "learner", "actor", "wire", "agent", "replay", "demos"),
)
"""Hyperparameters too, when they are named: `robot_rl.runtime.changes` keeps what was changed."""
ACTING = Changes(("console", "actors"), ("actor", "wire"))


def is_resumed(options: argparse.Namespace) -> bool:
    return any(word.startswith("resume=") for word in options.overrides)


def dated(name: str) -> str:
    """A folder for one start of `name`: runs/<name>-<date>."""
    return f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def open_run(
    options: argparse.Namespace,
    default_name: Callable[[DictConfig], str],
    changes: Changes = LEARNING,
) -> tuple[DictConfig, RunDir]:
    """The config and folder of a new run, or of the one to resume with its changes."""
    if is_resumed(options):
        return _resumed(options, changes)
    cfg = compose(options)
    folder = RunDir(Path(settings_of(cfg).run or default_name(cfg)))
    folder.require_new()
    return cfg, folder


def _resumed(options: argparse.Namespace, changes: Changes) -> tuple[DictConfig, RunDir]:
    (name, *_) = [word for word in options.overrides if word.startswith("resume=")]
    words = [word for word in options.overrides if not word.startswith("resume=")]
    folder = RunDir(Path(name.partition("=")[2]))
    cfg = folder.config()
    folder.check_log()
    if not options.trust:
        check_targets(cfg, folder.path, config_folders(options))
    for word in words:
        key = word.partition("=")[0]
        if not changes.allow(key):
            raise ConfigError(
                f"'{word}' cannot change in a resumed run; valid: {changes}. Another environment, "
                "robot, agent or seed is another run"
            )
        if OmegaConf.select(cfg, key, default=MISSING) is MISSING and "=" in word:
            raise ConfigError(f"unknown key '{key}' in {folder.path}/config.yaml")
    for word in words:
        OmegaConf.update(cfg, word.partition("=")[0], parse_value(word))
    settings_of(cfg)
    return cfg, folder


def rewrite(folder: RunDir, cfg: DictConfig) -> None:
    """Replaces the config of a run that goes on, and keeps what was changed in how it learns."""
    ask(folder.path, what_is_learned(folder.config()), what_is_learned(cfg))
    folder.write_config(cfg)
    folder.finished.unlink(missing_ok=True)
