"""The frame of a self-contained HTML page, and its building blocks; all text is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from robot_rl.report.charts import Chart, stylesheet
from robot_rl.report.video import plays_in_browser

EMBED_BYTES = 5_000_000
"""Larger videos are linked, not embedded."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
"""The browser itself refuses anything from outside the page."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure at the top of a page; `mark` is "", "good" or "bad"."""

    value: str
    label: str
    mark: str = ""


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page around parts that are HTML already."""
    css = files("robot_rl.report").joinpath("page.css").read_text() + stylesheet()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{css}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def header(title: str, facts: Sequence[str], verdict: str) -> str:
    """Heading, a line of facts, and what came of it."""
    line = " · ".join(escape(fact) for fact in facts if fact)
    return (
        f'<h1>{escape(title)}</h1>\n<p class="facts">{line}</p>\n'
        f'<p class="verdict">{_tight(verdict)}</p>'
    )


def tiles(items: Sequence[Tile]) -> str:
    cells = [
        f'<div class="card tile"><b class="{item.mark}">{_tight(item.value)}</b>'
        f"<span>{_tight(item.label)}</span></div>"
        for item in items
    ]
    return f'<div class="tiles">{"".join(cells)}</div>' if cells else ""


def warning_list(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="card warnings"><strong>Warnings</strong><ul>{items}</ul></div>'


def hero(chart: Chart | None) -> str:
    """The main chart, drawn twice so that its text stays readable on a phone."""
    if chart is None:
        return ""
    return (
        f'<figure class="card hero" style="margin-inline: 0">'
        f'<div class="wide">{chart.svg(1040, 380)}</div>'
        f'<div class="narrow">{chart.svg(420, 320)}</div></figure>'
    )


def chart_grid(title: str, charts: Sequence[Chart]) -> str:
    if not charts:
        return ""
    cards = "\n".join(f'<div class="card">{chart.svg()}</div>' for chart in charts)
    return f'<h2>{escape(title)}</h2>\n<div class="grid">\n{cards}\n</div>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def pairs(items: Mapping[str, str]) -> str:
    """A two-column table of names and values."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in items.items()
    )
    return f'<div class="scroll"><table>{rows}</table></div>'


def details(summary: str, body: str) -> str:
    """A collapsed part; `body` is HTML."""
    return f'<details class="card"><summary>{escape(summary)}</summary>{body}</details>'


def preformatted(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def time_split(name: str, seconds: Mapping[str, float]) -> str:
    """A bar of shares with its legend."""
    total = sum(seconds.values())
    if total <= 0:
        return ""
    shares = sorted(seconds.items(), key=lambda item: -item[1])
    bars = "".join(
        f'<i class="k{k % 6}" style="flex: {value / total:.5f}" title="{escape(stage)}"></i>'
        for k, (stage, value) in enumerate(shares)
    )
    legend = "".join(
        f'<span><i class="k{k % 6}"></i>{escape(stage)} {value:,.0f} s '
        f"({100 * value / total:.0f} %)</span>"
        for k, (stage, value) in enumerate(shares)
    )
    return (
        f'<div class="split"><strong>{escape(name)}</strong>'
        f'<div class="bar">{bars}</div><div class="legend">{legend}</div></div>'
    )


def video(path: Path, page: Path) -> str:
    """The video within the page, or a link where it is large or browsers cannot play it."""
    link = escape(str(path.relative_to(page.parent))) if path.is_relative_to(page.parent) else ""
    name = escape(path.name)
    if not plays_in_browser(path):
        return f'<p><a href="{link}">{name}</a></p><p class="note">Browsers cannot play it.</p>'
    if path.stat().st_size > EMBED_BYTES:
        return f'<p><a href="{link}">{name}</a> ({path.stat().st_size / 1e6:.1f} MB)</p>'
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<video controls muted loop playsinline preload="auto" aria-label="{name}" '
        f'src="data:video/mp4;base64,{data}"></video><p class="note">{name}</p>'
    )


def _tight(text: str) -> str:
    """Escaped, and no line break between a number and its percent sign."""
    return escape(text).replace(" %", "&nbsp;%")
