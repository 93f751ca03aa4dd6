"""Check an environment or a robot before anything is started with it.

  robot-rl check env=gym env.id=Pendulum-v1
  robot-rl check env.id=my_module:My-v0           (env=gym is meant)
  robot-rl check task=reach robot=my_arm --config-dir my_configs
  robot-rl check task=my_task --thorough          (the conformance suite; moves a simulated robot)

One reset, some steps, a time limit, one render, values beside their spaces, and whether it opens
twice. train, record and actor do the same before they start anything.
"""

from __future__ import annotations

import argparse
from typing import Any

from robot_rl.commands.common import add_overrides, compose
from robot_rl.commands.output import emit
from robot_rl.commands.preflight import open_env, preflight
from robot_rl.errors import ConfigError
from robot_rl.testing.check_env import check_env
from robot_rl.testing.preflight import time_limit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--thorough", action="store_true", help="also the conformance suite (check_env)"
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    if any(word.startswith("env.id=") for word in options.overrides):
        options.overrides = ["env=gym", *options.overrides]
    cfg = compose(options)
    env, opened_s = open_env(cfg)
    try:
        spec = env.spec
        look, notes = preflight(cfg, env, opened_s=opened_s)
        if look is None and options.thorough:
            raise ConfigError("--thorough moves the robot at random; valid: in simulation")
        result: dict[str, Any] = {
            "name": spec.name,
            "observation": {a.name: f"{a.dtype}{list(a.shape)}" for a in spec.observation},
            "action_dim": spec.action_dim,
            "rate_hz": spec.rate_hz,
            "time_limit": time_limit(env),
            "success": "not tried" if look is None else "judged" if look.judged else "not judged",
            "notes": notes,
        }
        if options.thorough:
            check_env(env)
    finally:
        env.close()
    if options.json:
        emit(result)
        return 0
    for key, value in result.items():
        if key != "notes":
            print(f"{key:<12} {value}")
    for note in notes:
        print(f"note: {note}")
    print("nothing is wrong")
    return 0
