"""What a run needs before its processes start: specification, demonstrations, folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import numbers_of, schedule_of, settings_of, settle_precision
from robot_rl.config import plain
from robot_rl.data.log_reader import LogReader
from robot_rl.errors import ConfigError, DataError
from robot_rl.factory import check_same_spec, make_env, make_policy
from robot_rl.runtime.record import record_demos
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.settings import DemoSettings
from robot_rl.specs import EnvSpec

LEAST_NOISE = 0.05
"""Below this an expert that fails is not failing because of the noise."""


def prepare(cfg: DictConfig, folder: RunDir, *, quiet: bool = False) -> EnvSpec:
    """Checks everything that can be checked early, records missing demos, writes the folder.

    A run that exists is checked against the present specification and keeps its folder.
    """
    numbers = numbers_of(cfg)
    schedule_of(cfg)
    settle_precision(cfg)
    env = make_env(cfg)
    try:
        spec: EnvSpec = env.data_spec
        make_policy(cfg, spec, seed=0)
        if numbers.demo_ratio > 0:
            set_demos(cfg, env, quiet=quiet)
    finally:
        env.close()
    if (folder.path / "config.yaml").exists():
        check_same_spec(spec, folder.spec(), f"run {folder.path}")
        folder.write_config(cfg)
        folder.finished.unlink(missing_ok=True)
    else:
        folder.create(cfg, spec)
    return spec


def specification(cfg: DictConfig) -> EnvSpec:
    """The specification of the configured environment."""
    env = make_env(cfg)
    try:
        spec: EnvSpec = env.data_spec
    finally:
        env.close()
    return spec


def set_demos(cfg: DictConfig, env: Any, *, quiet: bool) -> None:
    """Makes `demos.path` an existing dataset of this spec; where none was named, one recorded for
    this very task and number of episodes, now or before."""
    demos = settings_of(cfg).demos
    spec: EnvSpec = env.data_spec
    if demos.path is not None:
        path, found = named_dataset(demos.path)
        check_same_spec(spec, found, f"dataset {path}")
    else:
        task = json.dumps(plain(cfg).get("task"), sort_keys=True, default=str)
        recipe = f"{spec.sha256()}-{task}-{demos.episodes}-{demos.seed}-{demos.noise}"
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
        name = f"{spec.name.replace('/', '_')}-{demos.episodes}-{digest}"
        path = Path(demos.folder) / name
        if not (path / "manifest.json").exists():
            if not hasattr(env, "expert_action"):
                raise ConfigError(
                    "this environment has no scripted expert to record demonstrations; valid: "
                    "demos.path=<dataset>, or agent=sac (agent.replay.demo_ratio=0)"
                )
            if not quiet:
                print(f"recording {demos.episodes} demonstrations into {path}", file=sys.stderr)
            with recording_alone(path):
                if not (path / "manifest.json").exists():
                    record_with_corrections(env, path, demos)
    OmegaConf.update(cfg, "demos.path", str(path.resolve()))


def named_dataset(name: str) -> tuple[Path, EnvSpec]:
    """The dataset that `demos.path` names, and its specification; ConfigError where none is."""
    path = Path(name)
    if not (path / "manifest.json").exists():
        raise ConfigError(
            f"demos.path={path}: no dataset there (manifest.json is missing); "
            "valid: a folder that robot-rl record wrote"
        )
    return path.resolve(), LogReader(path).spec


@contextmanager
def recording_alone(path: Path) -> Iterator[None]:
    """Two runs that start together record a dataset once: the second waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record_with_corrections(env: Any, path: Path, demos: DemoSettings) -> None:
    """Records with `demos.noise` on the expert, halved for as long as it cannot correct it.

    (A peg with 1 mm of play bears less of it than a cube on a table.) The manifest tells which
    noise it was. The dataset is written aside and renamed.
    """
    aside = path.with_name(f".{path.name}")
    noise = demos.noise
    while True:
        shutil.rmtree(aside, ignore_errors=True)  # of a recording that was interrupted
        try:
            record_demos(
                env,
                env.expert_action,
                aside,
                episodes=demos.episodes,
                seed=demos.seed,
                noise=noise,
            )
        except DataError:
            if noise < LEAST_NOISE:
                raise
            noise /= 2
            continue
        aside.rename(path)
        return
