"""The live terminal view of a run: a panel on a terminal, one plain line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from typing import TextIO

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from robot_rl.metrics.view import RunView, RunWatcher

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_EVERY_S = 5.0
SAME_EVERY_S = 60.0
"""Between two plain lines that differ in their time only."""
DRAW_EVERY_S = 0.25
UTD_TOLERANCE = 0.02
MAX_WIDTH = 100
PHASE_STYLE = {"learning": "green", "done": "bold green"}


class RunConsole:
    """Shows a run while the caller waits for it; leaves the terminal as it was, Ctrl-C included.

    with RunConsole(RunWatcher(run_dir)) as console:
        while running:
            console.refresh()
            time.sleep(0.2)
    """

    def __init__(
        self,
        watcher: RunWatcher,
        *,
        stream: TextIO | None = None,
        plain_every_s: float = PLAIN_EVERY_S,
    ) -> None:
        self._watcher = watcher
        self._console = Console(file=stream or sys.stdout, highlight=False)
        self._plain_every_s = plain_every_s
        self._shown_s = -math.inf
        self._last_line, self._last_s = "", -math.inf
        self._live: Live | None = None

    def __enter__(self) -> RunConsole:
        if self._console.is_terminal:
            self._live = Live(render(self._watcher.view), console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.poll()
        self._show()
        if self._live is not None:
            self._live.stop()

    def refresh(self) -> None:
        """Reads the metrics and shows them; call it as often as you like."""
        period = DRAW_EVERY_S if self._live is not None else self._plain_every_s
        if time.monotonic() - self._shown_s < period:
            return
        self._watcher.poll()
        self._show()

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        if self._live is not None:
            self._live.update(render(self._watcher.view), refresh=True)
            return
        line = plain_line(self._watcher.view)
        _, _, news = line.partition("] ")
        if news != self._last_line or self._shown_s - self._last_s > SAME_EVERY_S:
            self._last_line, self._last_s = news, self._shown_s
            print(line, file=self._console.file, flush=True)


def plain_line(view: RunView) -> str:
    """One line for logs, pipes and continuous integration."""
    parts = [
        f"[{duration(view.elapsed_s)}] {view.phase}",
        f"step {view.step}" + (f"/{view.steps_total}" if view.steps_total else ""),
        f"episode {view.episodes}",
        f"success {percent(view.success)}",
        f"return {number(view.mean_return)}",
        f"{number(view.env_steps_per_s)} steps/s",
        f"{number(view.updates_per_s)} updates/s",
        f"UTD {number(view.utd_true)}",
        f"staleness {number(view.staleness)}",
    ]
    if view.evals:
        last = view.evals[-1]
        parts.append(f"eval {last.successes}/{last.episodes} at {last.step}")
    if view.left_s is not None:
        parts.append(f"{duration(view.left_s)} left")
    if view.phase != "learning" and view.message:
        parts.append(view.message)
    if view.warnings:
        parts.append(f"warning: {view.warnings[-1]}")
    return " | ".join(parts)


def render(view: RunView) -> RenderableType:
    """The panel, readable from 60 columns on."""
    names = [name for name in (view.robot, view.agent, f"seed {view.seed}") if name]
    title = Text.assemble((view.task or "run", "bold"), "".join(f" · {name}" for name in names))
    blocks: list[RenderableType] = [_progress(view), Text(), _figures(view)]
    if view.evals:
        blocks += [Rule(style="dim"), _evaluation(view)]
    if view.message or view.warnings:
        blocks.append(Rule(style="dim"))
    if view.message:
        blocks.append(Text(view.message, style="dim", overflow="ellipsis", no_wrap=True))
    blocks += [Text(f"! {text}", style="yellow") for text in view.warnings]
    panel = Panel(
        Group(*blocks),
        title=title,
        title_align="left",
        subtitle=Text(view.run_dir, style="dim", overflow="ellipsis"),
        subtitle_align="left",
        border_style="cyan",
        padding=(1, 2),
    )
    return Constrain(panel, MAX_WIDTH)


def _progress(view: RunView) -> RenderableType:
    done = view.step / view.steps_total if view.steps_total else 0.0
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    total = f" / {view.steps_total:,}" if view.steps_total else ""
    left = f"{duration(view.left_s)} left" if view.left_s is not None else ""
    grid.add_row(
        Text(view.phase, style=PHASE_STYLE.get(view.phase, "cyan")),
        Bar(1.0, 0.0, min(done, 1.0), color="cyan", bgcolor="grey23"),
        f"{view.step:,}{total} steps",
    )
    elapsed = Text(f"{duration(view.elapsed_s)} so far", style="dim")
    grid.add_row("", elapsed, Text(left, style="bold"))
    return grid


def _figures(view: RunView) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in range(2):
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(ratio=1, no_wrap=True)
    recent = len(view.recent_success)
    grid.add_row("episode", f"{view.episodes:,}", "env steps/s", number(view.env_steps_per_s))
    grid.add_row("success", _success(view.success, recent), "updates/s", number(view.updates_per_s))
    grid.add_row("return", number(view.mean_return), "update-to-data", _ratio(view))
    length = f"{number(view.mean_length)} steps" if view.recent_length else "–"
    stale = "–" if view.staleness is None else f"{number(view.staleness)} versions"
    grid.add_row("length", length, "staleness", stale)
    grid.add_row("interventions", f"{view.interventions:,}", "overruns", f"{view.overruns:,}")
    queues = "  ".join(f"{name} {depth:,}" for name, depth in sorted(view.queues.items()))
    outer = Table.grid(expand=True)
    outer.add_row(grid)
    if queues:
        outer.add_row(Text.assemble(("queues  ", "dim"), queues))
    return outer


def _success(rate: float | None, count: int) -> Text:
    if rate is None:
        return Text("–")
    style = "green" if rate >= 0.9 else "yellow" if rate >= 0.5 else "red"
    return Text.assemble((percent(rate), style), (f" of last {count}", "dim"))


def _ratio(view: RunView) -> Text:
    if view.utd_true is None:
        return Text("–")
    over = view.utd_target and view.utd_true > view.utd_target * (1 + UTD_TOLERANCE)
    target = f" of {view.utd_target:g}" if view.utd_target else ""
    return Text.assemble((number(view.utd_true), "red" if over else ""), (target, "dim"))


def _evaluation(view: RunView) -> RenderableType:
    last = view.evals[-1]
    rates = [item.successes / max(1, item.episodes) for item in view.evals[-32:]]
    style = "green" if rates[-1] >= 0.9 else "yellow" if rates[-1] >= 0.5 else "red"
    return Text.assemble(
        ("evaluation  ", "dim"),
        (sparkline(rates), "cyan"),
        "  ",
        (f"{last.successes}/{last.episodes}", f"bold {style}"),
        (f" at step {last.step:,}", "dim"),
        overflow="ellipsis",
        no_wrap=True,
    )


def sparkline(rates: list[float]) -> str:
    """One block character for each share in [0, 1]."""
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round(top * min(1.0, max(0.0, rate)))] for rate in rates)


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; a dash for what is not known."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def duration(seconds: float) -> str:
    """`8 s`, `2:05`, `1:02:05`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
