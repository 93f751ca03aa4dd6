"""Tell whether this machine is fast enough for a run; a minute or two, nothing else beside it.

  robot-rl bench
  robot-rl bench task=peg_insert camera=two agent.replay.utd=8 (the run that you have in mind)

Measured are the run's own environment, policy, replay and learner, the wire between an actor and a
learner on this machine, and how late a control loop beside it is. Each limit follows from the
control rate of the environment and the run's settings.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from robot_rl.bench import compute
from robot_rl.bench.figure import Figure, percentiles
from robot_rl.bench.wire import connected
from robot_rl.commands.common import add_overrides, compose, settings_of
from robot_rl.commands.learner_process import make_sampler
from robot_rl.commands.output import emit
from robot_rl.factory import make_agent, make_env, make_policy
from robot_rl.interfaces import Agent, RobotEnvironment
from robot_rl.metrics.console import duration, number
from robot_rl.runtime.rundir import cpu_model
from robot_rl.runtime.settings import RunSettings
from robot_rl.specs import EnvSpec
from robot_rl.types import Array

ROWS = 20_000
SAMPLING_SHARE = 0.25
"""Of an update block's time, which drawing its batches may take."""
ACTING_SHARE = 0.5
"""Of a period, which the policy may take."""
INNER_HZ = 1000.0
"""Of a driver's loop on this machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="seconds: a rough idea")
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    cfg = compose(options)
    settings, scale = settings_of(cfg), 0.02 if options.quick else 1.0
    env = make_env(cfg)
    spec: EnvSpec = env.spec
    try:
        figures = [_environment(env, spec, 5 * scale)]
    finally:
        env.close()
    agent = make_agent(cfg, spec, seed=settings.seed)
    figures += _learning(cfg, spec, agent, scale)
    figures += _wire(settings, spec, agent.policy_weights(), scale)
    steps, needed = settings.steps, _seconds_a_step(figures, agent.sampling.utd)
    result: dict[str, Any] = {
        "machine": {"cpu": cpu_model(), "cores": len(os.sched_getaffinity(0))},
        "load_average": os.getloadavg()[0],
        "figures": [asdict(f) | {"enough": f.enough, "verdict": f.verdict} for f in figures],
        "steps": steps,
        "seconds_at_least": steps * needed,
    }
    if options.json:
        emit(result)
    else:
        show(result, figures)
    return 0


def _environment(env: RobotEnvironment, spec: EnvSpec, seconds: float) -> Figure:
    _say("environment")
    rate, hz = compute.env_steps_per_s(env, spec, seconds), spec.rate_hz
    return Figure("environment", "steps, random actions", rate, "1/s", hz, f"{hz:g} Hz", True)


def _learning(cfg: DictConfig, spec: EnvSpec, agent: Agent, scale: float) -> list[Figure]:
    """Policy, replay and learner, the learner's own settings and its threads."""
    settings, utd, hz = settings_of(cfg), agent.sampling.utd, spec.rate_hz
    _say("policy, replay and learner (compiled: some 20 s the first time)")
    sampler = make_sampler(settings, agent.sampling, spec, log=True)
    compute.fill(sampler, min(settings.replay.capacity, round(ROWS * scale)))
    block = compute.update_s(agent, sampler, 10 * scale)
    policy = make_policy(cfg, spec, seed=settings.seed)
    policy.load(agent.policy_weights(), 1)
    act_50, act_99 = percentiles(compute.act_s(policy, spec, round(4000 * scale)))
    draw, _ = percentiles(compute.sample_s(sampler, round(500 * scale)))
    period, share = (
        f"{ACTING_SHARE:g} of a period of {1000 / hz:g} ms",
        SAMPLING_SHARE * 1e3 * block,
    )
    updates, pace = utd / block, utd * hz
    return [
        Figure("policy", "observation to action, p50", 1e3 * act_50, "ms"),
        Figure("policy", "the same, p99", 1e3 * act_99, "ms", 1e3 * ACTING_SHARE / hz, period),
        Figure("replay", "batches of a block, p50", 1e3 * draw, "ms", share,
               f"{SAMPLING_SHARE:g} of a block of updates"),
        Figure("learner", "critic updates", updates, "1/s", pace,
               f"{utd} updates a step at {hz:g} Hz", True),
    ]  # fmt: skip


def _wire(
    settings: RunSettings, spec: EnvSpec, weights: Mapping[str, Array], scale: float
) -> list[Figure]:
    """Records to the learner, weights back, and a loop's lateness while records flow."""
    _say("wire and control loop")
    hz, window = spec.rate_hz, settings.learner.credit_window
    slack = settings.actor.policy_period_slack_ms
    with connected(spec) as link:
        _, record = percentiles(link.records_s(round(500 * scale)))
        _, newest = percentiles(link.weights_s(weights, round(100 * scale)))
        link.write_s.clear()
        _, inner = percentiles(link.lateness_s(INNER_HZ, 10 * scale))
        _, cost = percentiles(link.write_s)
        outer = link.lateness_s(hz, 10 * scale)
    period = f"a period at {hz:g} Hz"
    return [
        Figure("wire", "a step to the learner, p99", 1e3 * record, "ms", 1e3 * window / hz,
               f"a learner that may be {window} steps behind"),
        Figure("wire", "weights to the actor, p99", 1e3 * newest, "ms", 1e3 / hz, period),
        Figure("wire", "what a record costs the loop, p99", 1e3 * cost, "ms", 10 / hz,
               f"a hundredth of {period}"),
        Figure("loop", f"lateness at {hz:g} Hz, worst", 1e3 * float(outer.max()), "ms", slack,
               "actor.policy_period_slack_ms"),
        Figure("loop", f"lateness at {INNER_HZ:g} Hz, p99", 1e3 * inner, "ms", 1e3 / INNER_HZ,
               "a driver's loop in Python here"),
    ]  # fmt: skip


def _seconds_a_step(figures: list[Figure], utd: int) -> float:
    """Of a simulated run at best: environment and learner side by side."""
    rates = {figure.part: figure.value for figure in figures if figure.unit == "1/s"}
    return max(1 / rates["environment"], utd / rates["learner"])


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def show(result: dict[str, Any], figures: list[Figure]) -> None:
    """A table of the figures, one a line, the machine, and how long the run would take."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("part")
    table.add_column("figure")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("verdict")
    for figure in figures:
        style = {None: "", True: "green", False: "bold red"}[figure.enough]
        value = f"{number(figure.value)} {figure.unit}"
        table.add_row(figure.part, figure.what, value, figure.verdict, style=style)
    console = Console()
    console.print(table)
    machine, load = result["machine"], result["load_average"]
    console.print(f"{machine['cpu']}, {machine['cores']} cores, load average {load:.1f}")
    least = duration(result["seconds_at_least"])
    console.print(f"{result['steps']:,} simulated steps take {least} here at least.")
