"""Line charts as inline SVG: no script, no external resource, light and dark by the style sheet.

chart = Chart("Success", Axis("environment steps"), Axis("success", percent=True), [series])
svg = chart.svg(width=640, height=320)

Values may be NaN: the line is broken there. Hovering over a point shows its value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

import numpy as np

from robot_rl.report.scales import Axis, ends, thin, ticks
from robot_rl.types import Array

CHARACTER = 7.3
"""Width of a tick label's character, px at 12 px."""
MAX_HOVER = 100
COLOURS = 6
MARGIN = 16
"""Of a file of its own, px."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one line, all of one length; `low` and `high` draw an interval as a band."""

    name: str
    x: Sequence[float] | Array
    y: Sequence[float] | Array
    low: Sequence[float] | Array | None = None
    high: Sequence[float] | Array | None = None
    colour: int = 0
    dots: bool = False
    faint: bool = False
    """A thin line in the background without a legend or hover titles."""

    def arrays(self) -> tuple[Array, Array]:
        return np.asarray(self.x, dtype=np.float64), np.asarray(self.y, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; `goal` is drawn as a dashed line across."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    goal: float | None = None

    def svg(self, width: int = 420, height: int = 250, *, standalone: bool = False) -> str:
        """SVG text, px; `standalone` adds the style sheet and the background of a file."""
        frame = _Frame.around(self, width, height)
        summary = f"{self.title}: {self.y.label} against {self.x.label}"
        space, box = "", f"0 0 {width} {height}"
        if standalone:
            space = 'xmlns="http://www.w3.org/2000/svg" '
            box = f"{-MARGIN} {-MARGIN} {width + 2 * MARGIN} {height + 2 * MARGIN}"
        parts = [
            f'<svg {space}class="chart" role="img" viewBox="{box}" aria-label="{escape(summary)}">'
        ]
        if standalone:
            parts.append(f"<style>{stylesheet()}</style>")
            corner = f'x="{-MARGIN}" y="{-MARGIN}" width="100%" height="100%"'
            parts.append(f'<rect {corner} style="fill: var(--surface)"/>')
        parts += frame.axes()
        for series in self.series:
            parts += frame.band(series)
        for series in self.series:
            parts += frame.line(series)
        parts.append("</svg>")
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The mapping from values to px and everything drawn with it."""

    chart: Chart
    width: int
    height: int
    left: float
    top: float
    x_ticks: list[float]
    y_ticks: list[float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @classmethod
    def around(cls, chart: Chart, width: int, height: int) -> _Frame:
        x_low, x_high = ends(chart.x, [s.arrays()[0] for s in chart.series])
        y_values = [s.arrays()[1] for s in chart.series]
        y_values += [np.asarray(e) for s in chart.series for e in (s.low, s.high) if e is not None]
        if chart.goal is not None:
            y_values.append(np.asarray([chart.goal]))
        y_low, y_high = ends(chart.y, y_values)
        y_ticks = ticks(y_low, y_high, 5)
        labels = max(len(chart.y.text(tick)) for tick in y_ticks)
        left = 12 + CHARACTER * labels
        named = sum(not s.faint for s in chart.series) > 1
        return cls(
            chart,
            width,
            height,
            left,
            66.0 if named else 46.0,
            ticks(x_low, x_high, max(3, width // 90)),
            y_ticks,
            (x_low, x_high),
            (y_low, y_high),
        )

    @property
    def right(self) -> float:
        return self.width - 14.0

    @property
    def bottom(self) -> float:
        return self.height - 40.0

    def px(self, x: float) -> float:
        low, high = self.x_range
        return self.left + (x - low) / (high - low) * (self.right - self.left)

    def py(self, y: float) -> float:
        low, high = self.y_range
        return self.bottom - (y - low) / (high - low) * (self.bottom - self.top)

    def axes(self) -> Iterator[str]:
        chart = self.chart
        yield f'<text class="name" x="2" y="16">{escape(chart.title)}</text>'
        yield f'<text x="2" y="34">{escape(chart.y.label)}</text>'
        yield from self._legend()
        for tick in self.y_ticks:
            y = self.py(tick)
            yield f'<path class="grid" d="M{self.left:.1f} {y:.1f}H{self.right:.1f}"/>'
            text = escape(chart.y.text(tick))
            yield f'<text class="end" x="{self.left - 7:.1f}" y="{y + 4:.1f}">{text}</text>'
        yield f'<path class="axis" d="M{self.left:.1f} {self.bottom:.1f}H{self.right:.1f}"/>'
        for tick in self.x_ticks:
            x = self.px(tick)
            text = escape(chart.x.text(tick))
            half = CHARACTER * len(text) / 2
            x = min(x, self.width - half - 1)
            yield f'<text class="mid" x="{x:.1f}" y="{self.bottom + 17:.1f}">{text}</text>'
        label = escape(chart.x.label)
        yield f'<text class="end" x="{self.right:.1f}" y="{self.height - 6}">{label}</text>'
        if chart.goal is not None:
            y = self.py(chart.goal)
            yield f'<path class="goal" d="M{self.left:.1f} {y:.1f}H{self.right:.1f}"/>'

    def _legend(self) -> Iterator[str]:
        named = [s for s in self.chart.series if not s.faint]
        if len(named) < 2:
            return
        x = 2.0
        for series in named:
            colour = series.colour % COLOURS
            yield f'<path class="line s{colour}" d="M{x:.1f} 48h14"/>'
            yield f'<text x="{x + 19:.1f}" y="52">{escape(series.name)}</text>'
            x += 19 + CHARACTER * len(series.name) + 14

    def band(self, series: Series) -> Iterator[str]:
        if series.low is None or series.high is None:
            return
        x, _ = series.arrays()
        upper = [f"{self.px(a):.1f} {self.py(b):.1f}" for a, b in zip(x, series.high, strict=True)]
        lower = [f"{self.px(a):.1f} {self.py(b):.1f}" for a, b in zip(x, series.low, strict=True)]
        shape = "L".join([*upper, *reversed(lower)])
        yield f'<path class="band f{series.colour % COLOURS}" d="M{shape}Z"/>'

    def line(self, series: Series) -> Iterator[str]:
        colour = series.colour % COLOURS
        x, y = thin(*series.arrays())
        path, pen = "", "M"
        for a, b in zip(x, y, strict=True):
            if not math.isfinite(b):
                pen = "M"
                continue
            path += f"{pen}{self.px(a):.1f} {self.py(b):.1f}"
            pen = "L"
        if path:
            style = "faint" if series.faint else "line"
            yield f'<path class="{style} s{colour}" d="{path}"/>'
        if not series.faint:
            yield from self._points(series, colour)

    def _points(self, series: Series, colour: int) -> Iterator[str]:
        x, y = series.arrays()
        every = max(1, -(-len(x) // MAX_HOVER))
        for index in range(0, len(x), every):
            if not math.isfinite(y[index]):
                continue
            text = f"{series.name}: {self.chart.y.text(y[index])}"
            if series.low is not None and series.high is not None:
                low, high = (self.chart.y.text(end[index]) for end in (series.low, series.high))
                text += f" (95 %: {low} to {high})"
            text += f"\n{self.chart.x.label}: {self.chart.x.text(x[index])}"
            at = f'cx="{self.px(x[index]):.1f}" cy="{self.py(y[index]):.1f}"'
            if series.dots:
                yield f'<circle class="dot f{colour}" {at} r="4"/>'
            yield f'<circle class="hit f{colour}" {at} r="7"><title>{escape(text)}</title></circle>'


def stylesheet() -> str:
    """The charts' CSS."""
    return files("robot_rl.report").joinpath("charts.css").read_text()
