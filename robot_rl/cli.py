"""`robot-rl <verb> [Hydra overrides]`: the command line. Each verb is a module of `commands`.

Exit codes: 0 done, 1 the run or an evaluation failed, 2 bad input (one readable line), 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from robot_rl.errors import RobotRLError, suggest

VERBS = {
    "train": "train on one machine: actors, ingest, learner, evaluator",
    "learner": "the learner's side alone: ingest, learner, evaluator",
    "actor": "an actor's side alone: actor and its I/O process",
    "record": "record demonstrations into a dataset",
    "dataset": "describe, verify or list a dataset",
    "eval": "evaluate a run's policy on seeded episodes",
    "driver": "run a robot's driver process; stop and re-arm it",
    "doctor": "say whether machine and robot could run, and what is missing",
    "keys": "make, list and revoke the keys of hosts and people",
    "watch": "look at a run from anywhere; pause, go on, stop",
    "report": "write a run's HTML report, or compare runs",
    "bench": "measure speeds beside the installed peers",
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
        "robot-rl <verb> --help tells more. Keys are those of configs/train.yaml and its groups;\n"
        "--config-dir FOLDER (or ROBOT_RL_CONFIG_DIR) adds your own robots, tasks and agents.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; gives the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if words[0] in ("-V", "--version"):
        print(version("robot-rl"))
        return 0
    verb = words[0]
    if verb not in VERBS:
        print(f"robot-rl: unknown verb '{verb}': {suggest(verb, VERBS)}", file=sys.stderr)
        return 2
    try:
        options = parser_of(verb).parse_intermixed_args(words[1:])
        return int(options.run(options))
    except RobotRLError as error:
        print(f"robot-rl {verb}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
