"""Record demonstrations into a dataset.

  robot-rl record --out demos/mine --episodes 20 task=pick_cube
  robot-rl record --out demos/mine --episodes 40 --append task=pick_cube    (twenty more)
  robot-rl record --out demos/hand --by teleop task=reach teleop=keyboard   (in a terminal)
  robot-rl record --out demos/push --by my_package.my_policy env=gym env.id=my_package:Push-v0

Who acts: the task's scripted expert, a person (--by teleop), or a function of yours, called with
the observation, or with the environment if its parameter is called env; in a foreign environment
observation and action are that environment's own. Nothing is ever overwritten, and what is
finished when this is interrupted is kept.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.commands.common import add_overrides, check_writable, compose, settings_of
from robot_rl.commands.output import emit
from robot_rl.commands.preflight import preflight
from robot_rl.commands.prepare import say
from robot_rl.config import target_class
from robot_rl.data.episodes import read_episodes
from robot_rl.data.manifest import FILE, read_manifest
from robot_rl.errors import ConfigError, RobotRLError
from robot_rl.factory import make_env, make_teleop
from robot_rl.interfaces import TeleopDevice
from robot_rl.runtime.record import Recording, record_demos


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the dataset")
    parser.add_argument("--episodes", type=int, default=20, help="episodes to keep (20)")
    parser.add_argument("--seed", type=int, default=1000, help="reset seed of the first (1000)")
    parser.add_argument(
        "--noise",
        type=float,
        default=None,
        help="noise on the expert's actions, in action units (demos.noise of the config)",
    )
    parser.add_argument(
        "--by", default="expert", metavar="WHO", help="expert, teleop, or package.module.function"
    )
    parser.add_argument(
        "--append", action="store_true", help="go on with the dataset, to --episodes in all"
    )
    parser.add_argument("--codec", choices=("png", "raw"), default="png", help="image codec")
    parser.add_argument("--keep-failures", action="store_true", help="keep failed episodes too")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f"--episodes {options.episodes}; valid: 1 or more")
    path = Path(options.out)
    begun = (path / FILE).exists()
    check_target(path, options, begun)
    cfg = compose(options)
    settings = settings_of(cfg)
    env = make_env(cfg, real_time=options.by == "teleop" or settings.actor.real_time)
    teleop = None

    def show(recording: Recording) -> None:
        if not options.json:
            print(
                f"\rkept {recording.kept} of {options.episodes}, "
                f"discarded {recording.discarded}, {recording.transitions} transitions",
                end="",
                file=sys.stderr,
                flush=True,
            )

    noise = settings.demos.noise if options.noise is None else options.noise
    try:
        _, notes = preflight(cfg, env, alone=True)
        say(notes)
        if options.by == "teleop":
            teleop = make_teleop(cfg, env)
        recording = record_demos(
            env,
            who_acts(options.by, env, teleop),
            path,
            episodes=options.episodes,
            seed=options.seed,
            noise=noise if options.by == "expert" else options.noise or 0.0,
            keep_failures=options.keep_failures,
            codec=options.codec,
            actor=options.by if options.by in ("expert", "teleop") else "policy",
            by=options.by,
            append=begun,
            on_episode=show,
        )
    except (KeyboardInterrupt, RobotRLError):
        say_kept(path, begun, options)
        raise
    finally:
        env.close()
        if teleop is not None:
            teleop.close()
    if options.json:
        emit({"path": options.out, "episodes": recording.kept, "discarded": recording.discarded})
    else:
        print(f"\nwrote {options.out}: robot-rl dataset info {options.out}", file=sys.stderr)
    return 0


def check_target(path: Path, options: argparse.Namespace, begun: bool) -> None:
    """ConfigError, before anything is opened, where the dataset cannot be written or gone on with;
    it says what is in it."""
    if not begun:
        if options.append:
            raise ConfigError(f"--append: '{path}' has no dataset yet; valid: without --append")
        check_writable(path)
        return
    count = finished(path)
    there = f"'{path}' has {count} episodes of {read_manifest(path).spec.name}"
    if not options.append:
        raise ConfigError(
            f"{there}; valid: --append to go on with it, to --episodes in all, or another --out"
        )
    if count >= options.episodes:
        raise ConfigError(f"{there}; valid: --episodes above {count}, of all together")


def who_acts(by: str, env: Any, teleop: TeleopDevice | None) -> Callable[..., Any]:
    """The callable that --by names; ConfigError where it is none, or there is no expert."""
    if teleop is not None:

        def hands() -> Any:
            sample = teleop.read()
            return np.zeros(env.data_spec.action_dim, np.float32) if sample is None else sample

        return hands
    if by != "expert":
        policy: Callable[..., Any] = target_class({"_target_": by}, f"--by {by}")
        return policy
    if not hasattr(env, "expert_action"):
        raise ConfigError(
            "this environment has no scripted expert; valid: --by my_package.my_policy (a function "
            "of the observation), or --by teleop"
        )
    expert: Callable[..., Any] = env.expert_action
    return expert


def say_kept(path: Path, begun: bool, options: argparse.Namespace) -> None:
    """Says what is left when it ended early; a new dataset with nothing in it goes."""
    if not (path / FILE).exists():
        return
    count = finished(path)
    if count == 0 and not begun:
        shutil.rmtree(path, ignore_errors=True)
        print("\nno episode was finished, nothing is kept", file=sys.stderr)
        return
    print(
        f"\n{path} keeps {count} of {options.episodes} episodes; the same command with "
        "--append goes on",
        file=sys.stderr,
    )


def finished(path: Path) -> int:
    """Whole episodes in a dataset."""
    return sum(episode.complete for episode in read_episodes(path))
