from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_rl.report.charts import SVG, Axis, Chart, Series, thin

STEPS = Axis("environment steps", low=0)


def parsed(chart: Chart, **options: bool) -> ET.Element:
    return ET.fromstring(chart.svg(**options))


def curves(svg: ET.Element) -> list[list[tuple[float, float]]]:
    """Points of every drawn data line, px."""
    found = []
    for path in svg.iter(f"{SVG}path"):
        style, data = path.get("style", ""), path.get("d", "")
        if "fill: none" in style and "stroke: var(--c" in style and "clip-path" in path.attrib:
            numbers = re.findall(r"-?[\d.]+", data)
            found.append([(float(x), float(y)) for x, y in zip(*[iter(numbers)] * 2, strict=True)])
    return found


def titles(svg: ET.Element) -> list[str]:
    return [e.text or "" for e in svg.iter(f"{SVG}title")]


def test_axis_text() -> None:
    assert [Axis("x").text(v) for v in (0, 0.25, 1500, 2e-5, 3e7)] == [
        "0",
        "0.25",
        "1,500",
        "2e-5",
        "3e7",
    ]
    assert Axis("x", percent=True).text(0.285) == "28.5 %"


def test_points_lie_where_their_values_say() -> None:
    chart = Chart("t", STEPS, Axis("y", 0.0, 1.0), [Series("s", [0, 50, 100], [0.0, 0.5, 0.8])])
    (line,) = curves(parsed(chart))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.2)
    assert (y1 - y0) / (y2 - y0) == pytest.approx(0.5 / 0.8, abs=0.01)
    assert x0 < x1 < x2
    assert y0 > y1 > y2


@pytest.mark.parametrize(
    "values", [[5.0, 5.0], [0.0], [], [np.nan], [np.nan, 2.0], [np.inf, 1.0], [1e300, -1e300]]
)
def test_constants_nothing_and_what_is_not_finite_are_drawn(values: list[float]) -> None:
    svg = parsed(Chart("t", Axis("x"), Axis("y"), [Series("s", range(len(values)), values)]))
    assert len(titles(svg)) == sum(np.abs(values) < 1e150)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(), st.floats(), st.floats(), st.floats()), max_size=4),
    st.text(max_size=6),
    st.booleans(),
)
def test_whatever_a_run_folder_holds_is_drawn(
    points: list[tuple[float, ...]], name: str, bounded: bool
) -> None:
    x, y, low, high = zip(*points, strict=True) if points else ((), (), (), ())
    series = [Series(name, x, y, low, high, dots=True), Series(name, x, y)]
    axis = Axis(name, low=0.0, high=1.0) if bounded else Axis(name)
    assert parsed(Chart(name, axis, axis, series), standalone=True).tag == f"{SVG}svg"


def test_a_gap_breaks_the_line_and_a_band_spans_the_interval() -> None:
    series = Series("s", [1, 2, 3, 4], [1.0, np.nan, 2.0, 3.0])
    svg = Chart("t", STEPS, Axis("y"), [series]).svg()
    (line,) = re.findall(
        r'<path d="([^"]*)" clip-path="[^"]*" style="fill: none; stroke: var\(--c', svg
    )
    assert (line.count("M"), line.count("L")) == (2, 1)
    band = Series("s", [1, 2], [0.5, 0.6], low=[0.4, 0.5], high=[0.6, 0.7])
    svg = Chart("t", STEPS, Axis("y", percent=True), [band]).svg()
    assert svg.count("0.16") == 1
    assert titles(ET.fromstring(svg))[0] == "s: 50 % (95 %: 40 % to 60 %)\nenvironment steps: 1"


def test_names_are_escaped_and_the_chart_says_what_it_is() -> None:
    nasty = "<script>alert('x')</script> & \"more\" $x^"
    series = [Series(nasty, [1, 2], [1, 2]), Series("b\0", [1, 2], [1, 2])]
    svg = parsed(Chart(nasty, Axis(nasty), Axis(nasty), series))
    assert svg.get("role") == "img"
    assert nasty in (svg.get("aria-label") or "")
    assert not list(svg.iter("script"))
    assert sum(nasty == (e.text or "") for e in svg.iter(f"{SVG}text")) == 4  # title, axes, legend


def test_a_chart_has_colours_of_the_style_sheet_alone_and_a_file_brings_it() -> None:
    chart = Chart("t", STEPS, Axis("y"), [Series("s", [1, 2], [1, 2], dots=True)], goal=1.5)
    assert re.findall(r"#[0-9a-fA-F]{6}", chart.svg()) == []
    svg = parsed(chart, standalone=True)
    assert svg.tag == f"{SVG}svg"
    assert any("prefers-color-scheme: dark" in (e.text or "") for e in svg.iter(f"{SVG}style"))


def test_long_lines_are_thinned_by_means() -> None:
    x, y = thin(np.arange(1000.0), np.arange(1000.0), 100)
    assert len(x) == 100
    assert x[0] == 4.5
    assert y[-1] == 994.5
    svg = parsed(Chart("t", STEPS, Axis("y"), [Series("s", range(5000), range(5000))]))
    assert 50 <= len(titles(svg)) <= 100
    assert all(a != b for a, b in pairwise(titles(svg)))


def test_what_draws_is_loaded_by_reports_alone() -> None:
    """Neither the command line nor an actor's process pays for it."""
    heavy = "{'matplotlib', 'scipy', 'jinja2'} & {name.partition('.')[0] for name in sys.modules}"
    for module in ("robot_rl.cli", "robot_rl.commands.actor_process", "robot_rl.commands.session"):
        words = f"import sys, {module}; print({heavy})"
        done = subprocess.run(
            [sys.executable, "-c", words], capture_output=True, text=True, check=True
        )
        assert done.stdout == "set()\n", module
