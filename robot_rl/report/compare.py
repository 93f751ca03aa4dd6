"""Several runs beside one another: seeds of one task and agent are pooled into one curve."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.errors import DataError
from robot_rl.metrics.console import duration
from robot_rl.metrics.records import EvalRecord
from robot_rl.report.charts import Axis, Chart, Series
from robot_rl.report.findings import GOOD, Pooled, first_good, pooled
from robot_rl.report.plots import STEPS
from robot_rl.report.rundata import RunData, read_run
from robot_rl.report.statistics import bootstrap_interval, wilson_interval
from robot_rl.report.templates import render
from robot_rl.types import Array

NAME = "comparison"
SVG_SIZE = (820, 400)


@dataclass(frozen=True, slots=True)
class Curve:
    """Success against steps over the seeds that were evaluated near each step."""

    steps: Array
    """(k,)"""
    rates: Array
    """(seeds, k), NaN where a seed has no evaluation near."""
    mean: Array
    """(k,) pooled over episodes."""
    low: Array
    high: Array
    """(k,) the hull of Wilson's interval over episodes and the bootstrap over seeds, 95 %."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one task, robot and agent."""

    label: str
    runs: tuple[RunData, ...]

    @property
    def final(self) -> Pooled | None:
        """Evaluations of all seeds over the last steps (see `findings.pooled`)."""
        each = [found for run in self.runs if (found := pooled(run.metrics.evals, run.steps))]
        if not each:
            return None
        return Pooled(
            min(item.first for item in each),
            max(item.last for item in each),
            sum(item.successes for item in each),
            sum(item.episodes for item in each),
        )

    @property
    def seed_interval(self) -> tuple[float, float] | None:
        """95 % bootstrap over the seeds' own rates of `final`; None with fewer than three."""
        each = [found for run in self.runs if (found := pooled(run.metrics.evals, run.steps))]
        return bootstrap_interval([item.rate for item in each]) if len(each) >= 3 else None

    @property
    def first_good(self) -> list[int | None]:
        """Steps to the first evaluation of at least GOOD, for each seed."""
        found = [first_good(run.metrics.evals) for run in self.runs]
        return [item.step if item else None for item in found]


def seed_curve(seeds: Sequence[Sequence[EvalRecord]]) -> Curve | None:
    """Pools the evaluations of each seed; None without any. The grid is that of the seed with the
    most of them."""
    tables = [[item for item in table if item.episodes] for table in seeds]
    grid = np.array([item.step for item in max(tables, key=len)], dtype=np.float64)
    if not len(grid):
        return None
    reach = float(np.median(np.diff(grid))) / 2 if len(grid) > 1 else grid[0] / 2
    chosen = [[_nearest(table, step, reach) for step in grid] for table in tables]
    successes = np.array([[e.successes if e else 0 for e in row] for row in chosen])
    episodes = np.array([[e.episodes if e else 0 for e in row] for row in chosen])
    rates = np.where(episodes > 0, successes / np.maximum(episodes, 1), np.nan)
    bounds = []
    for k in range(len(grid)):
        low, high = wilson_interval(int(successes[:, k].sum()), int(episodes[:, k].sum()))
        each = rates[:, k][np.isfinite(rates[:, k])]
        if len(each) >= 3:
            left, right = bootstrap_interval(each, resamples=1000)
            low, high = min(low, left), max(high, right)
        bounds.append((low, high))
    mean = successes.sum(axis=0) / episodes.sum(axis=0)
    ends = np.array(bounds)
    return Curve(grid, rates, mean, ends[:, 0], ends[:, 1])


def compare_runs(run_dirs: Sequence[Path], out: Path | None = None) -> Path:
    """Writes comparison.html and comparison.svg into `out` (beside the runs), gives the page.

    The SVG stands alone, for documents. DataError on a folder that is no run, or on none.
    """
    if not run_dirs:
        raise DataError("no runs to compare; valid: one run folder or more")
    groups = group_runs([read_run(Path(path)) for path in run_dirs])
    folder = Path(out) if out else Path(os.path.commonpath([p.resolve().parent for p in run_dirs]))
    page = folder / f"{NAME}.html"
    if page.exists():
        raise DataError(f"'{page}' is there already; valid: --out another folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    chart = pooled_chart({g.label: [run.metrics.evals for run in g.runs] for g in groups})
    if chart is not None:
        (folder / f"{NAME}.svg").write_text(chart.svg(*SVG_SIZE, standalone=True))
    runs = [_run_row(run) for group in groups for run in group.runs]
    verdict = "; ".join(f"{group.label}: {_final_text(group)}" for group in groups)
    rows = [_group_row(group) for group in groups]
    page.write_text(render("comparison.html", runs=runs, groups=rows, chart=chart, verdict=verdict))
    return page


def group_runs(runs: Sequence[RunData]) -> list[Group]:
    """Runs by task, robot and agent, in order of first appearance."""
    found: dict[str, list[RunData]] = {}
    for run in runs:
        label = " · ".join(name for name in (run.task, run.robot, run.agent) if name)
        found.setdefault(label or run.path.name, []).append(run)
    return [Group(label, tuple(members)) for label, members in found.items()]


def pooled_chart(groups: Mapping[str, Sequence[Sequence[EvalRecord]]]) -> Chart | None:
    """One line and band for each group's seeds by its name, with the seeds faint behind it."""
    behind: list[Series] = []
    front: list[Series] = []
    for colour, (label, seeds) in enumerate(groups.items()):
        curve, count = seed_curve(seeds), len(seeds)
        if curve is None:
            continue
        name = f"{label} ({count} seed{'s' if count > 1 else ''})"
        if count > 1:
            behind += [
                Series("", curve.steps, row, colour=colour, faint=True) for row in curve.rates
            ]
        front.append(
            Series(
                name,
                curve.steps,
                curve.mean,
                low=curve.low,
                high=curve.high,
                colour=colour,
                dots=True,
            )
        )
    if not front:
        return None
    title = "Success in evaluation" if len(front) > 1 else front[0].name
    y = Axis("success (bands: 95 % intervals; thin lines: seeds)", low=0, high=1, percent=True)
    return Chart(title, STEPS, y, [*behind, *front], goal=GOOD)


def _group_row(group: Group) -> tuple[str, ...]:
    interval = group.seed_interval
    between = f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %" if interval else "–"
    steps = ", ".join("never" if step is None else f"{step:,}" for step in group.first_good)
    return group.label, _final_text(group), between, steps


def _run_row(run: RunData) -> tuple[str, ...]:
    final = pooled(run.metrics.evals, run.steps)
    good = first_good(run.metrics.evals)
    return (
        run.path.resolve().name,
        str(run.seed),
        f"{run.step:,}",
        final.text() if final else "–",
        f"{good.step:,}" if good else "never",
        duration(run.elapsed_s),
    )


def _final_text(group: Group) -> str:
    final = group.final
    if final is None:
        return "no evaluation of the last steps"
    return f"{final.text()} from {final.first:,} to {final.last:,} steps"


def _nearest(table: Sequence[EvalRecord], step: float, reach: float) -> EvalRecord | None:
    best = min(table, key=lambda item: abs(item.step - step), default=None)
    return best if best is not None and abs(best.step - step) <= reach else None
