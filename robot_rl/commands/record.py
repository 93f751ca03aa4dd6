"""Record demonstrations into a dataset.

  robot-rl record --out demos/mine --episodes 20 task=pick_cube
  robot-rl record --out demos/mine --episodes 40 --append task=pick_cube    (twenty more)
  robot-rl record --out demos/hand --by teleop task=reach teleop=keyboard   (in a terminal)
  robot-rl record --out demos/hand --by teleop task=reach console=web       (a page in a browser)
  robot-rl record --out demos/push --by my_package.my_policy env=gym env.id=my_package:Push-v0

Who acts: the task's scripted expert, a person (--by teleop), or a function of yours, called with
the observation, or with the environment if its parameter is called env; in a foreign environment
observation and action are that environment's own. Nothing is ever overwritten, and what is
finished when this is interrupted is kept. A person's device also stops the robot and says success,
failure or discard, takes back the episode kept last (undo), and pauses; an episode in which nobody
moves is not kept. Episodes run at the environment's rate.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from robot_rl.commands.actor_process import pace_of
from robot_rl.commands.common import add_overrides, check_writable, compose, settings_of
from robot_rl.commands.console import check_console, console_of
from robot_rl.commands.output import emit
from robot_rl.commands.preflight import preflight
from robot_rl.commands.prepare import say
from robot_rl.config import target_class
from robot_rl.data.episodes import read_episodes
from robot_rl.data.manifest import FILE, read_manifest
from robot_rl.errors import ConfigError, RobotRLError
from robot_rl.factory import make_env, make_judge, make_operator
from robot_rl.interfaces import Expert, RobotEnvironment
from robot_rl.rollout.operators import Nobody
from robot_rl.runtime.by_function import as_expert
from robot_rl.runtime.record import Recording, ScriptedPolicy, record_demos


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
    check_console(settings.console)

    def show(recording: Recording) -> None:
        if not options.json:
            print(
                f"\rkept {recording.kept} of {options.episodes}, "
                f"discarded {recording.discarded}, {recording.transitions} transitions",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def tell(text: str) -> None:
        if not options.json:
            print(f"\n{text}", file=sys.stderr, flush=True)

    by_hand = options.by == "teleop"
    noise = settings.demos.noise if options.noise is None else options.noise
    noise = noise if options.by == "expert" else options.noise or 0.0
    try:
        with ExitStack() as stack, ExitStack() as robot:  # the robot is closed first
            env = make_env(cfg, real_time=by_hand or settings.actor.real_time)
            robot.callback(env.close)
            _, notes = preflight(cfg, env, alone=True)
            say(notes)
            policy, operator, moments = None, None, None
            if by_hand:
                operator = make_operator(cfg, env)
                stack.callback(operator.close)
            else:
                function = as_expert(env, who_acts(options.by, env))
                policy = ScriptedPolicy(function, noise, options.seed)
            if settings.console == "web":
                page = console_of(env, operator or Nobody(), "record", settings.console_port)
                console = stack.enter_context(page)
                operator, moments = console.operator, console.moments
            recording = record_demos(
                env,
                policy,
                path,
                episodes=options.episodes,
                seed=options.seed,
                operator=operator,
                judge=make_judge(cfg) if by_hand else None,
                keep_failures=options.keep_failures,
                codec=options.codec,
                actor=options.by if options.by in ("expert", "teleop") else "policy",
                meta={"noise": str(noise), "recorded_by": options.by},
                append=begun,
                pace=pace_of(cfg, env, by_hand),
                moments=moments,
                on_episode=show,
                say=tell,
            )
    except (KeyboardInterrupt, RobotRLError):
        say_kept(path, begun, options)
        raise
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


def who_acts(by: str, env: RobotEnvironment) -> Callable[..., Any]:
    """The callable that --by names; ConfigError where it is none, or there is no expert."""
    if by != "expert":
        policy: Callable[..., Any] = target_class({"_target_": by}, f"--by {by}")
        return policy
    if not isinstance(env, Expert):
        raise ConfigError(
            "this environment has no scripted expert; valid: --by my_package.my_policy (a function "
            "of the observation), or --by teleop"
        )
    return env.expert_action


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
