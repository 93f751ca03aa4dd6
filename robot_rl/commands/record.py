"""Record demonstrations into a new dataset.

  robot-rl record --out demos/mine --episodes 20 task=pick_cube
  robot-rl record --out demos/hand --by teleop task=reach teleop=keyboard   (in a terminal)

The scripted expert of the task acts unless --by teleop. Nothing is ever overwritten.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from robot_rl.commands.common import add_overrides, compose, settings_of
from robot_rl.commands.output import emit
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env, make_teleop
from robot_rl.runtime.record import Recording, record_demos
from robot_rl.types import Array


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
    env = make_env(cfg, real_time=options.by == "teleop" or settings.actor.real_time)

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
    noise = noise if options.by == "expert" else 0.0
    teleop = make_teleop(cfg, env) if options.by == "teleop" else None

    def act() -> Array:
        sample = teleop.read() if teleop is not None else None
        return np.zeros(env.data_spec.action_dim, np.float32) if sample is None else sample.action

    try:
        if teleop is None and not hasattr(env, "expert_action"):
            raise ConfigError("this environment has no scripted expert; valid: --by teleop")
        recording = record_demos(
            env,
            act if teleop is not None else env.expert_action,
            Path(options.out),
            episodes=options.episodes,
            seed=options.seed,
            noise=noise,
            keep_failures=options.keep_failures,
            codec=options.codec,
            actor=options.by,
            on_episode=show,
        )
    finally:
        env.close()
        if teleop is not None:
            teleop.close()
    if options.json:
        emit({"path": options.out, "episodes": recording.kept, "discarded": recording.discarded})
    else:
        print(f"\nwrote {options.out}: robot-rl dataset info {options.out}", file=sys.stderr)
    return 0
