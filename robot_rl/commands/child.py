"""Entry point of the processes that `train`, `learner` and `actor` start; not a verb of its own.

  python -m robot_rl.commands.child '<config as JSON>'         (see child_config)

(The I/O process and ingest are entry points of their own: robot_rl.runtime.io and .ingest.)
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import msgspec

from robot_rl.commands.child_config import (
    ActorConfig,
    AnyChild,
    EvaluatorConfig,
    LearnerConfig,
    PolicyConfig,
)
from robot_rl.wire.parent import die_with_parent
from robot_rl.wire.process import run_main, stop_on_signals

ROLES: dict[type[msgspec.Struct], tuple[str, str]] = {
    ActorConfig: ("robot_rl.commands.actor_process", "run_actor"),
    PolicyConfig: ("robot_rl.commands.policy_process", "run_policy"),
    LearnerConfig: ("robot_rl.commands.learner_process", "run_learner"),
    EvaluatorConfig: ("robot_rl.commands.evaluator_process", "run_evaluator"),
}
"""Each role is imported in its own process only: an actor never loads torch."""


def run_child(config: AnyChild) -> None:
    """Runs until the role's end, or SIGTERM or SIGINT."""
    stopping = stop_on_signals()
    die_with_parent()
    module, function = ROLES[type(config)]
    getattr(importlib.import_module(module), function)(config, stopping.is_set)


def main(arguments: Sequence[str]) -> int:
    return run_main("robot_rl.commands.child", AnyChild, run_child, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
