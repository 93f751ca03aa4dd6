"""The report of a run: one HTML file that holds everything and asks nothing of any network.

path = write_report(run_dir)             # run_dir/report.html
path = compare_runs([run0, run1, run2])  # comparison.html and comparison.svg beside the runs
"""

from __future__ import annotations

import time
from pathlib import Path

from robot_rl.metrics.console import duration, number, percent
from robot_rl.report import document as html
from robot_rl.report.compare import compare_runs
from robot_rl.report.findings import GOOD, first_good, pooled, verdict, warnings
from robot_rl.report.plots import learning_curve, small_charts
from robot_rl.report.rundata import RunData, read_run, stage_seconds

__all__ = ["REPORT", "compare_runs", "write_report"]

REPORT = "report.html"


def write_report(run_dir: Path) -> Path:
    """Writes `run_dir/report.html` from what is in the folder; a run under way has one too.

    Raises DataError when the folder holds no run or its config cannot be read.
    """
    run = read_run(Path(run_dir))
    path = run.path / REPORT
    aside = path.with_name(f".{REPORT}")
    aside.write_text(html.document(f"{run.task or run.path.name} · {run.agent}", parts(run, path)))
    aside.replace(path)
    return path


def parts(run: RunData, page: Path) -> list[str]:
    """The page from top to bottom."""
    facts = [run.robot, run.agent, f"seed {run.seed}", run.path.resolve().name]
    if started := run.machine.get("started"):
        facts.append(f"started {started}")
    return [
        html.header(run.task or run.path.name, facts, verdict(run)),
        html.tiles(_tiles(run)),
        html.warning_list(warnings(run)),
        html.hero(learning_curve(run)),
        _video(run, page),
        html.chart_grid("Progress", small_charts(run)),
        _timings(run),
        _evaluations(run),
        _settings(run),
        f"<footer>Written by robot-rl {time.strftime('%Y-%m-%d %H:%M %z')}. Curves of training "
        "are moving averages; intervals are Wilson's, 95 %. Hover over a point for its value."
        "</footer>",
    ]


def _tiles(run: RunData) -> list[html.Tile]:
    metrics = run.metrics
    found = []
    if metrics.evals and run.judged and metrics.evals[-1].episodes:
        last = metrics.evals[-1]
        rate = last.successes / last.episodes
        mark = "good" if rate >= GOOD else "bad" if rate < 0.5 else ""
        found.append(html.Tile(percent(rate), "success, last evaluation", mark))
        whole = pooled(metrics.evals, run.steps)
        if whole and whole.last > whole.first:
            label = f"success, {whole.first:,} to {whole.last:,} steps"
            found.append(html.Tile(f"{100 * whole.rate:.1f} %", label))
        good = first_good(metrics.evals)
        value = f"{good.step:,}" if good else "not yet"
        found.append(html.Tile(value, f"steps to the first {100 * GOOD:.0f} %"))
    elif metrics.evals:
        found.append(html.Tile(number(metrics.evals[-1].mean_return), "return, last evaluation"))
    found.append(html.Tile(f"{run.step:,}", "environment steps"))
    found.append(html.Tile(duration(run.elapsed_s), "wall time"))
    if run.elapsed_s > 0:
        found.append(html.Tile(number(run.step / run.elapsed_s), "steps/s, whole run"))
    if metrics.learner:
        learner = metrics.learner[-1]
        found.append(html.Tile(number(learner.utd_true), "true update-to-data ratio"))
        found.append(html.Tile(f"{learner.updates:,}", "critic updates"))
    human = sum(episode.human_steps for episode in metrics.episodes)
    if human:
        share = human / max(1, sum(episode.steps for episode in metrics.episodes))
        found.append(html.Tile(percent(share), "steps driven by a human"))
    return found


def _video(run: RunData, page: Path) -> str:
    if not run.videos:
        return ""
    return (
        f'<h2>Evaluation episodes</h2>\n<div class="card">{html.video(run.videos[0], page)}</div>'
    )


def _timings(run: RunData) -> str:
    bars = [html.time_split("Learner", stage_seconds(run.metrics.learner))]
    for actor in sorted({record.actor for record in run.metrics.actors}):
        records = [record for record in run.metrics.actors if record.actor == actor]
        bars.append(html.time_split(actor, stage_seconds(records)))
    body = "".join(bars)
    return f'<h2>Where the time went</h2>\n<div class="card">{body}</div>' if body else ""


def _evaluations(run: RunData) -> str:
    if not run.metrics.evals:
        return ""
    rows = [
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
    second = "success" if run.judged else "episodes"
    columns = ("steps", "version", second, "mean return", "mean length", "at")
    return html.details(f"All {len(rows)} evaluations", html.table(columns, rows))


def _settings(run: RunData) -> str:
    config = html.details("Configuration (config.yaml)", html.preformatted(run.config_text))
    machine = html.details("Machine and versions", html.pairs(run.machine)) if run.machine else ""
    return machine + config
