"""What the verbs share: overrides, config folders, settings."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from robot_rl.agents.common.precision import chosen_precision
from robot_rl.config import GROUPS, config_file, convert, load_config, plain, section
from robot_rl.errors import ConfigError
from robot_rl.factory import make_schedule
from robot_rl.interfaces import Schedule
from robot_rl.runtime.changes import MACHINE
from robot_rl.runtime.settings import AgentNumbers, RunSettings, WireSettings
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder, key_folder

NOT_SETTINGS = {*GROUPS, "choices"}


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """`key=value …` and `--config-dir`."""
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides")
    add_config_dir(parser)
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="allow a wire.address that other hosts reach without a key (wire.insecure=true)",
    )
    add_trust(parser)


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """`--config-dir`."""
    parser.add_argument(
        "--config-dir",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder with your own robot/, task/, agent/ … YAML files; may be given again",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--trust`."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="import what this run names, though no config file of yours does (a run of your own)",
    )


def flags_of(options: argparse.Namespace) -> str:
    """The options that a later command on the same run needs too."""
    words = [f" --config-dir {shlex.quote(folder)}" for folder in options.config_dir]
    named = any(re.match(r"[+]*env\.wrappers=|.*_target_=", word) for word in options.overrides)
    return "".join(words) + " --trust" * (named or options.trust)


def compose(options: argparse.Namespace) -> DictConfig:
    """The config of a verb's overrides."""
    insecure = ["wire.insecure=true"] if options.insecure else []
    return load_config([*options.overrides, *insecure], folders=config_folders(options))


def config_folders(options: argparse.Namespace) -> list[Path]:
    """--config-dir and ROBOT_RL_CONFIG_DIR (colon-separated)."""
    more = os.environ.get("ROBOT_RL_CONFIG_DIR", "")
    return [Path(folder) for folder in [*options.config_dir, *filter(None, more.split(":"))]]


def check_writable(path: Path) -> None:
    """ConfigError where a file or folder of this name could not be made."""
    there = next(place for place in [path, *path.absolute().parents] if place.exists())
    if there != path and not there.is_dir():
        raise ConfigError(f"'{path}' cannot be made: '{there}' is no folder")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"'{path}' cannot be written: no permission at '{there}'")


def settings_of(cfg: DictConfig) -> RunSettings:
    """The typed settings; ConfigError names a key of the wrong type."""
    raw = {key: value for key, value in plain(cfg).items() if key not in NOT_SETTINGS}
    settings: RunSettings = convert(raw, RunSettings, "configs/train.yaml")
    if settings.run is not None and settings.resume is not None:
        raise ConfigError("run and resume exclude each other; valid: one of them")
    if settings.evaluation.where == "actor" and settings.actors > 1:
        raise ConfigError(
            f"evaluation.where=actor with actors={settings.actors}; valid: actors=1, or "
            "evaluation.where=process"
        )
    return settings


def wire_of(cfg: DictConfig) -> WireSettings:
    """The typed settings of the wire."""
    settings: WireSettings = convert(
        plain(section(cfg, "wire")), WireSettings, config_file(cfg, "wire")
    )
    return settings


def key_setting(wire: WireSettings, *, learner: bool = False, actors: bool = False) -> str:
    """The folder of keys for the children, "" for none; WireError if it lacks what they need."""
    if wire.keys is None:
        if wire.key is not None:
            raise ConfigError(f"wire.key={wire.key} without wire.keys; valid: wire.keys=default")
        return ""
    folder = KeyFolder(key_folder(wire.keys))
    if learner:
        folder.own(Role.SERVER)
    if actors:
        folder.client(Role.ACTOR, wire.key or "")
    return str(folder.path)


def numbers_of(cfg: DictConfig) -> AgentNumbers:
    """The agent's numbers that processes without the agent need; see `AgentNumbers`."""
    where = config_file(cfg, "agent")
    agent = section(cfg, "agent")
    if "replay" not in agent:
        raise ConfigError(f"{where}: no `replay` node; see configs/agent/rlpd.yaml")
    names = get_type_hints(AgentNumbers)
    replay = {k: v for k, v in plain(section(agent, "replay")).items() if k in names}
    numbers: AgentNumbers = convert(replay, AgentNumbers, f"{where}: replay")
    return numbers


def schedule_of(cfg: DictConfig) -> Schedule:
    """The schedule of a run."""
    return make_schedule(cfg, settings_of(cfg), numbers_of(cfg).warmup_steps)


def settle_precision(cfg: DictConfig) -> None:
    """Writes what `agent.learner.precision=auto` means on this machine into the config of a new
    run, so that it stays when the run goes on elsewhere."""
    learner = section(section(cfg, "agent"), "learner")
    if learner.get("precision") == "auto":
        chosen = chosen_precision("auto", str(learner.get("device", "cpu")))
        OmegaConf.update(cfg, "agent.learner.precision", chosen)


def what_is_learned(cfg: DictConfig) -> dict[str, str]:
    """Group choices and values that a resumed run must share with its checkpoint, by dotted key.

    Not the environment's: its specification is compared. Not what only a machine decides.
    """
    values = plain(cfg)
    parts = {key: values[key] for key in ("choices", "agent", "seed", "replay", "demos")}
    flat: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = list(parts.items())
    while waiting:
        key, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting[:0] = [(f"{key}.{name}", inner) for name, inner in value.items()]
        elif key not in MACHINE:
            flat[key] = json.dumps(value, default=str)
    return flat
