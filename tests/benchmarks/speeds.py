"""Measure speeds on this machine, beside the peers that are installed.

  python tests/benchmarks/speeds.py                           everything: about a quarter of an hour
  python tests/benchmarks/speeds.py env policy --quick        a subset, roughly
  python tests/benchmarks/speeds.py learner --json --peer-python ~/jax/bin/python

Ours and the peers take turns on one core; ratios are of medians in one run, above 1 where ours is
better (of the probe loop: how many times later than bare). Peers run from a checkout's
tests/benchmarks; --peer-python names an interpreter that has what this one has not (jax,
stable-baselines3, lerobot, gym-hil, cpprb), and may be given again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

from answering import on_one_core
from areas import denials, env, fleet, learner, loop, policy, replay, transport
from figures import Figure, figures_of
from peers import check_interpreter, peers_of
from rich import box
from rich.console import Console
from rich.table import Table
from turns import machine, take_turns

from robot_rl.commands.output import emit
from robot_rl.config import load_config
from robot_rl.errors import ConfigError, RobotRLError, suggest
from robot_rl.factory import make_env

WIDTH = 150
"""Columns of the table, at least: one line a figure."""


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    names = ", ".join(AREAS)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"{names}; all by default")
    parser.add_argument("--quick", action="store_true", help="seconds, not minutes: a rough idea")
    parser.add_argument("--rounds", type=int, default=None, help="turns of each (5; quick: 1)")
    parser.add_argument("--fifo", action="store_true", help="SCHED_FIFO for the probe loop")
    parser.add_argument(
        "--peer-python", action="append", default=[], metavar="PATH", help="where peers are"
    )
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    options = parsed(words)
    areas = list(dict.fromkeys(options.areas)) or list(AREAS)
    for name in areas:
        if name not in AREAS:
            raise ConfigError(f"no benchmark '{name}': {suggest(name, AREAS)}")
    if options.rounds is None:
        options.rounds = 1 if options.quick else 5
    if options.rounds < 1:
        raise ConfigError(f"--rounds {options.rounds}; valid: 1 or more")
    options.peer_python = [check_interpreter(path) for path in options.peer_python]
    result: dict[str, Any] = {"machine": machine(), "quick": options.quick, "results": {}}
    for name in areas:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        load = machine()["load_average"][0]
        result["results"][name] = AREAS[name](options) | {"load_average_before": load}
    figures = figures_of(result["results"])
    result["figures"] = [figure.to_json() for figure in figures]
    if options.json:
        emit(result)
    else:
        show(result, figures)
    return 0


def in_turns(
    area: str, ours: Callable[[bool], dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Ours and the area's peers on one core, in turns."""
    with peers_of(area, options.peer_python) as peers, on_one_core():
        return take_turns(
            lambda: ours(options.quick), peers, rounds=options.rounds, quick=options.quick
        )


def measure_env(options: argparse.Namespace) -> dict[str, Any]:
    def pick_cube(cameras: Sequence[str]) -> Any:
        return make_env(load_config([f"camera={'two' if cameras else 'none'}"]))

    return in_turns(
        "env", lambda quick: env.run(pick_cube, repeats=1, steps=20 if quick else 300), options
    )


def measure_learner(options: argparse.Namespace) -> dict[str, Any]:
    small: dict[str, Any] = {"compile": False, "utd": 2, "updates": 2}
    bench = learner.LearnerBench(**(small if options.quick else {}))
    return in_turns("learner", lambda _: bench.round(), options)


def measure_replay(options: argparse.Namespace) -> dict[str, Any]:
    sizes: dict[str, Any] = {"rows": 3_000, "image_rows": 400, "repeats": 40}
    return in_turns("replay", lambda quick: replay.run(**(sizes if quick else {})), options)


def measure_transport(options: argparse.Namespace) -> dict[str, Any]:
    scale = 0.005 if options.quick else 1.0
    return transport.run(repeats=min(options.rounds, 3), scale=scale)


def measure_fleet(options: argparse.Namespace) -> dict[str, Any]:
    if options.quick:
        return fleet.run(repeats=1, seconds=0.4, actors=3) | {"denials": denials.run(repeats=2)}
    return fleet.run(repeats=min(options.rounds, 3)) | {"denials": denials.run()}


def measure_policy(options: argparse.Namespace) -> dict[str, Any]:
    return in_turns("policy", lambda quick: policy.run(repeats=200 if quick else 4000), options)


def measure_loop(options: argparse.Namespace) -> dict[str, Any]:
    seconds = 0.3 if options.quick else 4.0
    return loop.run(
        rounds=options.rounds, seconds=seconds, fifo=options.fifo, compile=not options.quick
    )


AREAS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "env": measure_env,
    "learner": measure_learner,
    "replay": measure_replay,
    "transport": measure_transport,
    "fleet": measure_fleet,
    "policy": measure_policy,
    "loop": measure_loop,
}


def show(result: dict[str, Any], figures: Sequence[Figure]) -> None:
    """A table of the figures, one a line, and the machine."""
    title = "speeds" + (" (quick: a rough idea)" if result["quick"] else "")
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    for column in ("area", "figure", "measured", "unit", "aim", "reached", "beside (ratio)"):
        justify: Literal["left", "right"] = "right" if column in ("measured", "aim") else "left"
        table.add_column(column, justify=justify, no_wrap=True)
    for figure in figures:
        beside = ", ".join(
            f"{name} {number(value)} ({figure.ratios[name]:.2f})"
            for name, value in figure.peers.items()
        )
        reached = {None: "", True: "yes", False: "no"}[figure.reached]
        table.add_row(
            figure.area,
            figure.what,
            number(figure.value),
            figure.unit,
            aim(figure),
            reached,
            beside,
        )
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)
    console.print(" | ".join(f"{key} {value}" for key, value in result["machine"].items()))


def number(value: float) -> str:
    """Three digits that matter, thousands separated."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aim(figure: Figure) -> str:
    """What is aimed at, in words."""
    if figure.least_ratio is not None:
        return f"ratio >= {figure.least_ratio:g}"
    if figure.least is not None:
        return f">= {figure.least:,g}"
    return "" if figure.most is None else f"<= {figure.most:,g}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RobotRLError as error:
        sys.exit(f"{type(error).__name__}: {error}")
