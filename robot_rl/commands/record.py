"""Record demonstrations into a new dataset.

  robot-rl record --out demos/mine --episodes 20 task=pick_cube
  robot-rl record --out demos/hand --by teleop task=reach teleop=keyboard   (in a terminal)

The scripted expert of the task acts unless --by teleop: then a person does, whose device also stops
the robot and says success, failure or discard. Nothing is ever overwritten.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from robot_rl.commands.actor_process import pace_of
from robot_rl.commands.common import add_overrides, compose, emit, settings_of
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env, make_operator
from robot_rl.interfaces import Expert
from robot_rl.runtime.record import Recording, ScriptedPolicy, record_demos


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the new dataset")
    parser.add_argument("--episodes", type=int, default=20, help="episodes to keep (20)")
    parser.add_argument("--seed", type=int, default=1000, help="reset seed of the first (1000)")
    parser.add_argument(
        "--noise",
        type=float,
        default=None,
        help="noise on the expert's actions, in action units (demos.noise of the config)",
    )
    parser.add_argument("--by", choices=("expert", "teleop"), default="expert", help="who acts")
    parser.add_argument("--codec", choices=("png", "raw"), default="png", help="image codec")
    parser.add_argument("--keep-failures", action="store_true", help="keep failed episodes too")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f"--episodes {options.episodes}; valid: 1 or more")
    cfg = compose(options)
    settings = settings_of(cfg)

    def show(recording: Recording) -> None:
        if not options.json:
            print(
                f"\rkept {recording.kept} of {options.episodes}, "
                f"discarded {recording.discarded}, {recording.transitions} transitions",
                end="",
                file=sys.stderr,
                flush=True,
            )

    by_hand = options.by == "teleop"
    noise = settings.demos.noise if options.noise is None else options.noise
    with ExitStack() as stack, ExitStack() as robot:  # the robot is closed first
        env = make_env(cfg, real_time=by_hand or settings.actor.real_time)
        robot.callback(env.close)
        policy, operator = None, None
        if by_hand:
            operator = make_operator(cfg, env)
            stack.callback(operator.close)
        elif isinstance(env, Expert):
            policy = ScriptedPolicy(env.expert_action, noise, options.seed)
        else:
            raise ConfigError("this environment has no scripted expert; valid: --by teleop")
        recording = record_demos(
            env,
            policy,
            Path(options.out),
            episodes=options.episodes,
            seed=options.seed,
            operator=operator,
            keep_failures=options.keep_failures,
            codec=options.codec,
            actor=options.by,
            meta={"noise": str(0.0 if by_hand else noise)},
            pace=pace_of(cfg, env, by_hand),
            on_episode=show,
        )
    if options.json:
        emit({"path": options.out, "episodes": recording.kept, "discarded": recording.discarded})
    else:
        print(f"\nwrote {options.out}: robot-rl dataset info {options.out}", file=sys.stderr)
    return 0
