"""Entry point of the processes that `train`, `learner` and `actor` start; not a verb of its own.

python -m robot_rl.commands.child <role> <run folder> [arguments of the role]
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from robot_rl.errors import RobotRLError
from robot_rl.wire.parent import die_with_parent

ROLES = ("ingest", "io", "actor", "learner", "evaluator")


def stop_flag() -> Callable[[], bool]:
    """True once SIGTERM or SIGINT came."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event.is_set


def main(arguments: list[str]) -> int:
    role, run_dir, rest = arguments[0], Path(arguments[1]), arguments[2:]
    stopping = stop_flag()
    die_with_parent()
    try:
        if role == "learner":
            from robot_rl.commands.learner_process import run_learner

            return run_learner(run_dir, rest, stopping)
        if role == "evaluator":
            from robot_rl.commands.evaluator_process import run_evaluator

            return run_evaluator(run_dir, rest, stopping)
        from robot_rl.commands import actor_process

        return getattr(actor_process, f"run_{role}_process")(run_dir, rest, stopping)
    except RobotRLError as error:
        print(f"{role}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
