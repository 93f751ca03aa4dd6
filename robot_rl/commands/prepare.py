"""What a run needs before its processes start: specification, demonstrations, folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import numbers_of, schedule_of, settings_of, settle_precision
from robot_rl.commands.preflight import open_env, preflight
from robot_rl.commands.resume import rewrite
from robot_rl.config import plain
from robot_rl.data.content import content_digest
from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.errors import ConfigError, DataError
from robot_rl.factory import check_same_spec, make_policy
from robot_rl.interfaces import Expert, RobotEnvironment
from robot_rl.runtime.record import ScriptedPolicy, record_demos
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.settings import DemoSettings
from robot_rl.specs import EnvSpec
from robot_rl.types import Array

DEMOS = "demos.sha256"
"""In a run's folder: the digest of the demonstrations that it learns from."""
LEAST_NOISE = 0.05
"""Below this an expert that fails is not failing because of the noise."""


def prepare(cfg: DictConfig, folder: RunDir, *, quiet: bool = False) -> EnvSpec:
    """Checks everything that can be checked early, records missing demos, writes the folder.

    A run that exists is checked against the present specification and keeps its folder.
    """
    numbers = numbers_of(cfg)
    check_device(cfg)
    schedule_of(cfg)
    settle_precision(cfg)
    env, opened_s = open_env(cfg)
    try:
        spec: EnvSpec = env.spec
        _, notes = preflight(cfg, env, opened_s=opened_s)
        make_policy(cfg, spec, seed=0)
        say(notes)
        if numbers.demo_ratio > 0:
            set_demos(cfg, env, quiet=quiet)
    finally:
        env.close()
    if (folder.path / "config.yaml").exists():
        if note := check_same_spec(spec, folder.spec(), f"run {folder.path}"):
            say([note])
        if numbers.demo_ratio > 0:
            same_demos(folder, Path(cfg.demos.path))
        rewrite(folder, cfg)
    else:
        folder.create(cfg, spec)
        if numbers.demo_ratio > 0:
            same_demos(folder, Path(cfg.demos.path))
    return spec


def say(notes: Sequence[str]) -> None:
    """What is odd, one line each."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def check_device(cfg: DictConfig) -> None:
    """ConfigError where the agent asks for a GPU that torch does not find."""
    device = str(OmegaConf.select(cfg, "agent.learner.device", default=None) or "cpu")
    if device.partition(":")[0] != "cuda":
        return
    import torch  # only where a GPU is asked for: it takes seconds

    if not torch.cuda.is_available():
        raise ConfigError(
            f"agent.learner.device={device}, but torch finds no CUDA device; valid: cpu"
        )


def specification(cfg: DictConfig) -> EnvSpec:
    """The specification of the configured environment, which was looked at for an actor."""
    env, opened_s = open_env(cfg)
    try:
        spec: EnvSpec = env.spec
        _, notes = preflight(cfg, env, opened_s=opened_s, evaluates=False)
        say(notes)
    finally:
        env.close()
    return spec


def set_demos(cfg: DictConfig, env: RobotEnvironment, *, quiet: bool) -> None:
    """Makes `demos.path` an existing dataset of this spec; where none was named, one recorded for
    this very task and number of episodes, now or before."""
    demos = settings_of(cfg).demos
    spec: EnvSpec = env.spec
    if demos.path is not None:
        path, found = named_dataset(demos.path)
        check_same_spec(spec, found, f"dataset {path}")
    else:
        task = json.dumps(plain(cfg).get("task"), sort_keys=True, default=str)
        recipe = f"{spec.to_json().decode()}-{task}-{demos.episodes}-{demos.seed}-{demos.noise}"
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
        name = f"{spec.name.replace('/', '_')}-{demos.episodes}-{digest}"
        path = Path(demos.folder) / name
        if not (path / "manifest.json").exists():
            if not isinstance(env, Expert):
                raise ConfigError(
                    "this environment has no scripted expert to record demonstrations; valid: "
                    "demos.path=<dataset>, or agent=sac (agent.replay.demo_ratio=0)"
                )
            if not quiet:
                print(f"recording {demos.episodes} demonstrations into {path}", file=sys.stderr)
            with recording_alone(path):
                if not (path / "manifest.json").exists():
                    record_with_corrections(env, env.expert_action, path, demos)
    say(demo_warnings(path, demos.episodes))
    OmegaConf.update(cfg, "demos.path", str(path.resolve()))


def demo_warnings(path: Path, wanted: int) -> list[str]:
    """One line for each reason why the demonstrations of a dataset are of little use."""
    if wanted == 0:
        return ["demos.episodes=0: no demonstration is learned from; agent=sac needs none"]
    successes = [episode.success for episode in islice(read_episodes(path), wanted)]
    lines = []
    if len(successes) < wanted:
        lines.append(f"{path} has {len(successes)} demonstrations, demos.episodes={wanted}")
    if successes and all(success == 0 for success in successes):
        lines.append(f"every demonstration of {path} failed: there is nothing good to imitate")
    return lines


def same_demos(folder: RunDir, path: Path) -> None:
    """Keeps which demonstrations a run has, by what is in them; ConfigError where they are others.

    The folder may have been moved or copied: its path is not compared.
    """
    known, digest = folder.path / DEMOS, content_digest(path)
    if not known.exists():
        known.write_text(f"{digest}\n")
    elif known.read_text().strip() != digest:
        raise ConfigError(
            f"demos.path={path} holds other demonstrations than run {folder.path} began with; "
            "valid: the same ones, wherever they are now, or a new run"
        )


def named_dataset(name: str) -> tuple[Path, EnvSpec]:
    """The dataset that `demos.path` names, and its specification; ConfigError where none is."""
    path = Path(name)
    if not (path / "manifest.json").exists():
        raise ConfigError(
            f"demos.path={path}: no dataset there (manifest.json is missing); "
            "valid: a folder that robot-rl record wrote (if it was moved: demos.path=<its place>)"
        )
    return path.resolve(), LogReader(path).spec


@contextmanager
def recording_alone(path: Path) -> Iterator[None]:
    """Two runs that start together record a dataset once: the second waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record_with_corrections(
    env: RobotEnvironment, expert: Callable[[], Array], path: Path, demos: DemoSettings
) -> None:
    """Records with `demos.noise` on the expert, halved for as long as it cannot correct it.

    (A peg with 1 mm of play bears less of it than a cube on a table.) The manifest says which
    noise it was. The dataset is written aside and renamed.
    """
    aside = path.with_name(f".{path.name}")
    noise = demos.noise
    while True:
        shutil.rmtree(aside, ignore_errors=True)  # of a recording that was interrupted
        try:
            record_demos(
                env,
                ScriptedPolicy(expert, noise, demos.seed),
                aside,
                episodes=demos.episodes,
                seed=demos.seed,
                meta={"noise": str(noise)},
            )
        except DataError:
            if noise < LEAST_NOISE:
                raise
            noise /= 2
            continue
        aside.rename(path)
        return
