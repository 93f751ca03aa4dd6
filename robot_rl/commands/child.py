"""Entry point of the processes that `train`, `learner` and `actor` start; not a verb of its own.

  python -m robot_rl.commands.child <role> <run folder> [arguments of the role]

(The I/O process and ingest are entry points of their own: robot_rl.runtime.io and .ingest.)
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from robot_rl.errors import ConfigError, RobotRLError, suggest
from robot_rl.wire.parent import die_with_parent
from robot_rl.wire.process import stop_on_signals

ROLES = {
    "actor": ("robot_rl.commands.actor_process", "run_actor"),
    "policy": ("robot_rl.commands.policy_process", "run_policy"),
    "learner": ("robot_rl.commands.learner_process", "run_learner"),
    "evaluator": ("robot_rl.commands.evaluator_process", "run_evaluator"),
}
"""Each role is imported in its own process only: an actor never loads torch."""


def stop_flag() -> Callable[[], bool]:
    """True once SIGTERM or SIGINT came."""
    return stop_on_signals().is_set


def main(arguments: list[str]) -> int:
    stopping = stop_flag()
    die_with_parent()
    try:
        if len(arguments) < 2 or arguments[0] not in ROLES:
            raise ConfigError(f"role {arguments[:1]}; {suggest('', ROLES)}")
        module, function = ROLES[arguments[0]]
        run = getattr(importlib.import_module(module), function)
        return int(run(Path(arguments[1]), arguments[2:], stopping))
    except RobotRLError as error:
        print(f"{arguments[0]}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
