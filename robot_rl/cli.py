"""`robot-rl <verb> [Hydra overrides]`: the command line. Each verb is a module of `commands`.

Exit codes: 0 done, 1 the run or an evaluation failed, 2 bad input (one readable line), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from robot_rl.commands.output import emit, json_alone
from robot_rl.errors import RobotRLError, UserCodeError, suggest

VERBS = {
    "train": "train on one machine: actors, ingest, learner, evaluator",
    "learner": "the learner's side alone: ingest, learner, evaluator",
    "actor": "an actor's side alone: actor and its I/O process",
    "check": "look at an environment, task or robot before starting anything",
    "record": "record demonstrations into a dataset",
    "dataset": "describe, verify, merge or amend datasets",
    "eval": "evaluate a run's policy on seeded episodes",
    "deploy": "run a policy on a robot, with no learner",
    "driver": "run a robot's driver process; stop and re-arm it",
    "doctor": "say whether machine and robot could run, and what is missing",
    "keys": "make, list and revoke the keys of hosts and people",
    "rearm": "re-arm a robot that holds, from a terminal at its host",
    "watch": "look at a run from anywhere; pause, go on, stop",
    "report": "write a run's HTML report, or compare runs",
    "bench": "whether this machine is fast enough for a run",
}


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The argument parser of one verb."""
    module = importlib.import_module(f"robot_rl.commands.{verb}")
    parser = argparse.ArgumentParser(
        prog=f"robot-rl {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


def usage() -> str:
    """The overview that `robot-rl --help` prints."""
    lines = "\n".join(f"  {name:<9} {text}" for name, text in VERBS.items())
    return (
        f"robot-rl {version('robot-rl')}: reinforcement learning on real and simulated robots\n\n"
        f"usage: robot-rl <verb> [options] [key=value ...]\n\n{lines}\n\n"
        "robot-rl <verb> --help says more. Keys are those of configs/train.yaml and its groups;\n"
        "--config-dir FOLDER (or ROBOT_RL_CONFIG_DIR) adds your own robots, tasks and agents.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; gives the exit code."""
    words = [at_home(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if words[0] in ("-V", "--version"):
        print(version("robot-rl"))
        return 0
    if os.getcwd() not in sys.path:  # modules of one's own, for the processes that follow too
        sys.path.append(os.getcwd())
    verb = words[0]
    if verb not in VERBS:
        print(f"robot-rl: unknown verb '{verb}': {suggest(verb, VERBS)}", file=sys.stderr)
        return 2
    options = parser_of(verb).parse_intermixed_args(words[1:])
    if not options.json:
        return run_verb(verb, options)[0]
    with json_alone() as answer:
        code, why = 1, "it crashed: see standard error"
        try:
            code, why = run_verb(verb, options)
        finally:
            if not answer.given:
                emit({"error": why, "exit_code": code})
    return code


def run_verb(verb: str, options: argparse.Namespace) -> tuple[int, str]:
    """Exit code, and what was wrong in one line ("" where nothing was)."""
    try:
        return int(options.run(options)), ""
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1, "nobody reads standard output"
    except KeyboardInterrupt:
        return 130, "interrupted"
    except (RobotRLError, OSError) as error:
        why = f"{type(error).__name__}: {error}"
        if isinstance(error, UserCodeError):
            why += f"; its traceback is kept in {keep_traceback(error)}"
        print(f"robot-rl {verb}: {why}", file=sys.stderr)
        return 2, why


def keep_traceback(error: UserCodeError) -> Path:
    """Writes what the user's code raised, with its own traceback alone, to a file of its own."""
    handle, name = tempfile.mkstemp(prefix="robot-rl-traceback-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        traceback.print_exception(error.__cause__, file=file)
    return Path(name)


def at_home(word: str) -> str:
    """`~` as a shell expands it, after `=` too: demos.path=~/x, --out=~/d."""
    key, equals, value = word.partition("=")
    if value.startswith("~"):
        return f"{key}{equals}{os.path.expanduser(value)}"
    return os.path.expanduser(word) if word.startswith("~/") else word


if __name__ == "__main__":
    sys.exit(main())
