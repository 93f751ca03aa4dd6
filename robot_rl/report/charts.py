"""Line charts by Matplotlib as inline SVG: light and dark by the style sheet, no script.

chart = Chart("Success", Axis("environment steps"), Axis("success", percent=True), [series])
svg = chart.svg(width=640, height=320)

Values may be NaN: the line is broken there. Hovering over a point shows its value.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from robot_rl.types import Array

LINES = [f"#c{n}c{n}c{n}" for n in range(6)]
INK, SOFT, GRID, SURFACE = "#d0d0d0", "#d1d1d1", "#d2d2d2", "#d3d3d3"
VARIABLES = {colour: f"var(--c{n})" for n, colour in enumerate(LINES)}
VARIABLES |= {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    GRID: "var(--grid)",
    SURFACE: "var(--surface)",
}
"""Stand-in colours that Matplotlib draws with, and what the style sheet calls them."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "robot-rl",
    "text.parse_math": False,
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.labelcolor": SOFT,
    "axes.labelsize": 12,
    "axes.xmargin": 0.02,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "grid.color": GRID,
    "text.color": SOFT,
    "xtick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.color": SOFT,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
}
POINTS, HOVERED = 300, 100
"""Points of a line and hover texts of a chart's series, at most."""
LIMIT = 1e150
"""Larger values are drawn as gaps: products of theirs overflow."""
HIT = "hit"
SVG = "{http://www.w3.org/2000/svg}"
NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
ElementTree.register_namespace("", SVG.strip("{}"))
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


@dataclass(frozen=True, slots=True)
class Axis:
    """Label (with its unit) and, where given, fixed ends; `percent` shows 0.5 as 50 %."""

    label: str
    low: float | None = None
    high: float | None = None
    percent: bool = False

    def text(self, value: float) -> str:
        """A value as ticks and hover titles show it."""
        if self.percent:
            return f"{100 * value:.3g} %"
        if value and not 1e-3 <= abs(value) < 1e6:
            return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


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
        with warnings.catch_warnings(), rc_context(STYLE):
            warnings.simplefilter("ignore")  # of glyphs that are not measured, of flat axes
            figure = Figure((width / 72, height / 72), layout="constrained")
            texts = self._draw(figure.add_subplot(), max(3, width // 90))
            buffer = StringIO()
            figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
        label = _plain(f"{self.title}: {self.y.label} against {self.x.label}")
        return _themed(buffer.getvalue(), label, texts, standalone=standalone)

    def _draw(self, axes: Axes, x_ticks: int) -> list[list[str]]:
        """Draws everything; gives the hover texts of each series, point by point."""
        for series in self.series:
            _draw_line(axes, series)
        if self.goal is not None:
            axes.axhline(self.goal, color=SOFT, linewidth=1, dashes=(5, 4))
        for axis, shown, ticks in ((axes.xaxis, self.x, x_ticks), (axes.yaxis, self.y, 5)):
            axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(FuncFormatter(lambda value, _, it=shown: it.text(value)))
        axes.set_xlim(self.x.low, self.x.high)
        axes.set_ylim(self.y.low, self.y.high)
        axes.set_title(_plain(self.title), fontsize=14, fontweight="bold", color=INK, pad=26)
        above: dict[str, Any] = {"xytext": (0, 9), "textcoords": "offset points"}
        axes.annotate(_plain(self.y.label), (0, 1), xycoords="axes fraction", **above)
        axes.set_xlabel(_plain(self.x.label), loc="right")
        if sum(not series.faint for series in self.series) > 1:
            axes.legend(labelcolor=SOFT)
        return [self._hover(axes, series) for series in self.series if not series.faint]

    def _hover(self, axes: Axes, series: Series) -> list[str]:
        """Unseen markers on the points of a series within the axes, and their texts."""
        x, y = _values(series.x), _values(series.y)
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        shown = np.flatnonzero(inside)[:: max(1, -(-len(x) // HOVERED))]
        colour = LINES[series.colour % len(LINES)]
        axes.plot(x[shown], y[shown], "o", color=colour, markersize=10, gid=HIT, clip_on=False)
        texts = []
        for index in shown:
            text = f"{series.name}: {self.y.text(y[index])}"
            if series.low is not None and series.high is not None:
                low, high = (self.y.text(end[index]) for end in (series.low, series.high))
                text += f" (95 %: {low} to {high})"
            texts.append(f"{_plain(text)}\n{_plain(self.x.label)}: {self.x.text(x[index])}")
        return texts


def _draw_line(axes: Axes, series: Series) -> None:
    x, y = _values(series.x), _values(series.y)
    colour = LINES[series.colour % len(LINES)]
    if series.low is not None and series.high is not None:
        bounds = _values(series.low), _values(series.high)
        axes.fill_between(x, *bounds, color=colour, alpha=0.16, linewidth=0)
    if series.faint:
        axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.45)
        return
    axes.plot(*thin(x, y), color=colour, linewidth=2, label=_plain(series.name))
    if series.dots:
        edge: dict[str, Any] = {"markeredgecolor": SURFACE, "markeredgewidth": 1.5}
        axes.plot(x, y, "o", color=colour, markersize=8, clip_on=False, **edge)


def _values(values: Sequence[float] | Array) -> Array:
    """Floats; what is too large to be drawn becomes a gap."""
    found = np.array(values, dtype=np.float64)
    found[~(np.abs(found) < LIMIT)] = np.nan
    return found


def _themed(svg: str, label: str, texts: list[list[str]], *, standalone: bool) -> str:
    """Matplotlib's SVG with the style sheet's colours and fonts, sized by the page, and titles."""
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    root = ElementTree.fromstring(
        re.sub(r"(font: [^;\"]*px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    )
    root.attrib = {"class": "chart", "role": "img", "aria-label": label} | {
        "viewBox": root.attrib["viewBox"]
    }
    hits = [group for group in root.iter(f"{SVG}g") if group.get("id") == HIT]
    for group, said in zip(hits, texts, strict=True):
        group.set("class", HIT)
        for point, text in zip(group.iter(f"{SVG}use"), said, strict=True):
            ElementTree.SubElement(point, f"{SVG}title").text = text
    for group in root.iter(f"{SVG}g"):
        group.attrib.pop("id", None)
    if standalone:
        style = {"style": "fill: var(--surface)"}
        root.insert(
            0, ElementTree.Element(f"{SVG}rect", {"width": "100%", "height": "100%"} | style)
        )
        root.insert(0, ElementTree.Element(f"{SVG}style"))
        root[0].text = stylesheet()
    return ElementTree.tostring(root, encoding="unicode")


def thin(x: Array, y: Array, points: int = POINTS) -> tuple[Array, Array]:
    """Means over equal groups of neighbours, so that at most `points` are left."""
    if len(x) <= points:
        return x, y
    groups = np.array_split(np.arange(len(x)), points)
    return np.array([x[g].mean() for g in groups]), np.array([y[g].mean() for g in groups])


def _plain(text: str) -> str:
    """Without characters that XML does not have."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def stylesheet() -> str:
    """The charts' CSS."""
    return files("robot_rl.report").joinpath("charts.css").read_text()
