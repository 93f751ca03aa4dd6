"""The report of a run: one HTML file that holds everything and asks nothing of any network.

path = write_report(run_dir)             # run_dir/report.html
path = compare_runs([run0, run1, run2])  # comparison.html and comparison.svg beside the runs
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_rl.metrics.console import duration, number, percent
from robot_rl.report.compare import compare_runs
from robot_rl.report.findings import GOOD, first_good, pooled, verdict, warnings
from robot_rl.report.plots import learning_curve, small_charts
from robot_rl.report.rundata import RunData, read_run, stage_seconds
from robot_rl.report.templates import render
from robot_rl.report.video import plays_in_browser

__all__ = ["REPORT", "compare_runs", "write_report"]

REPORT, TEMPLATE = "report.html", "run.html"
EMBED_BYTES = 5_000_000
"""Larger videos are linked, not embedded."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure at the top of a page; `mark` is "", "good" or "bad"."""

    value: str
    label: str
    mark: str = ""


def write_report(run_dir: Path) -> Path:
    """Writes `run_dir/report.html` from what is in the folder; a run under way has one too.

    Raises DataError when the folder holds no run or its config cannot be read.
    """
    run = read_run(Path(run_dir))
    path = run.path / REPORT
    aside = path.with_name(f".{REPORT}")
    aside.write_text(render(TEMPLATE, **contents(run)))
    aside.replace(path)
    return path


def contents(run: RunData) -> dict[str, Any]:
    """What the template shows, from top to bottom."""
    facts = [run.robot, run.agent, f"seed {run.seed}", run.path.resolve().name]
    if started := run.machine.get("started"):
        facts.append(f"started {started}")
    return {
        "run": run,
        "facts": facts,
        "verdict": verdict(run),
        "tiles": _tiles(run),
        "warnings": warnings(run),
        "curve": learning_curve(run),
        "video": _video(run),
        "charts": small_charts(run),
        "times": _times(run),
        "evaluations": _evaluations(run),
        "now": time.strftime("%Y-%m-%d %H:%M %z"),
    }


def _tiles(run: RunData) -> list[Tile]:
    metrics = run.metrics
    found = []
    if metrics.evals and run.judged and metrics.evals[-1].episodes:
        last = metrics.evals[-1]
        rate = last.successes / last.episodes
        mark = "good" if rate >= GOOD else "bad" if rate < 0.5 else ""
        found.append(Tile(percent(rate), "success, last evaluation", mark))
        whole = pooled(metrics.evals, run.steps)
        if whole and whole.last > whole.first:
            label = f"success, {whole.first:,} to {whole.last:,} steps"
            found.append(Tile(f"{100 * whole.rate:.1f} %", label))
        good = first_good(metrics.evals)
        value = f"{good.step:,}" if good else "not yet"
        found.append(Tile(value, f"steps to the first {100 * GOOD:.0f} %"))
    elif metrics.evals:
        found.append(Tile(number(metrics.evals[-1].mean_return), "return, last evaluation"))
    found.append(Tile(f"{run.step:,}", "environment steps"))
    found.append(Tile(duration(run.elapsed_s), "wall time"))
    if run.elapsed_s > 0:
        found.append(Tile(number(run.step / run.elapsed_s), "steps/s, whole run"))
    if metrics.learner:
        learner = metrics.learner[-1]
        found.append(Tile(number(learner.utd_true), "true update-to-data ratio"))
        found.append(Tile(f"{learner.updates:,}", "critic updates"))
    human = sum(episode.human_steps for episode in metrics.episodes)
    if human:
        share = human / max(1, sum(episode.steps for episode in metrics.episodes))
        found.append(Tile(percent(share), "steps driven by a human"))
    return found


def _video(run: RunData) -> dict[str, str] | None:
    """The newest video within the page, or a link where it is large or browsers cannot play it."""
    if not run.videos:
        return None
    path = run.videos[0]
    found = {"name": path.name, "link": str(path.relative_to(run.path))}
    if not plays_in_browser(path):
        return found | {"note": "Browsers cannot play it."}
    if path.stat().st_size > EMBED_BYTES:
        return found | {"note": f"{path.stat().st_size / 1e6:.1f} MB"}
    return found | {"data": base64.b64encode(path.read_bytes()).decode("ascii")}


def _times(run: RunData) -> dict[str, dict[str, float]]:
    """Seconds by stage of the learner and of each actor; without those that report none."""
    found = {"Learner": stage_seconds(run.metrics.learner)}
    for actor in sorted({record.actor for record in run.metrics.actors}):
        found[actor] = stage_seconds([r for r in run.metrics.actors if r.actor == actor])
    return {name: seconds for name, seconds in found.items() if sum(seconds.values()) > 0}


def _evaluations(run: RunData) -> list[tuple[str, ...]]:
    return [
        (
            f"{item.step:,}",
            str(item.version),
            f"{item.successes} of {item.episodes}" if run.judged else f"{item.episodes}",
            number(item.mean_return),
            number(item.mean_length),
            duration(item.t),
        )
        for item in run.metrics.evals
    ]
