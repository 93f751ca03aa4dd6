from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from robot_rl.report.charts import Chart, Series
from robot_rl.report.scales import Axis, ends, thin, ticks

STEPS = Axis("environment steps", low=0)


def parsed(chart: Chart, **options: bool) -> ET.Element:
    return ET.fromstring(chart.svg(**options))


def paths(svg: ET.Element, kind: str) -> list[str]:
    return [e.get("d", "") for e in svg.iter() if kind in (e.get("class") or "").split()]


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 1.0, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 10_000.0, 5, [0, 2000, 4000, 6000, 8000, 10_000]),
        (-0.3, 0.3, 3, [-0.2, 0.0, 0.2]),
        (3e-5, 9e-5, 3, [4e-5, 6e-5, 8e-5]),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


def test_axis_ends_survive_constants_nothing_and_nan() -> None:
    for values in ([5.0, 5.0], [0.0], [], [float("nan")], [float("nan"), 2.0]):
        low, high = ends(Axis("x"), [np.array(values)])
        assert np.isfinite([low, high]).all()
        assert low < high
    assert ends(Axis("x", low=0.0, high=1.0), [np.array([7.0])]) == (0.0, 1.0)


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
    chart = Chart("t", STEPS, Axis("y", 0.0, 1.0), [Series("s", [0, 50, 100], [0.0, 0.5, 1.0])])
    (line,) = paths(parsed(chart), "line")
    points = [tuple(map(float, pair.split())) for pair in line[1:].split("L")]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 == pytest.approx((x0 + x2) / 2, abs=3)  # the x axis leaves some room on the right
    assert x0 < x1 < x2
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.2)
    assert y0 > y2


def test_a_gap_breaks_the_line_and_a_band_spans_the_interval() -> None:
    series = Series("s", [1, 2, 3, 4], [1.0, np.nan, 2.0, 3.0])
    (line,) = paths(parsed(Chart("t", STEPS, Axis("y"), [series])), "line")
    assert (line.count("M"), line.count("L")) == (2, 1)
    band = Series("s", [1, 2], [0.5, 0.6], low=[0.4, 0.5], high=[0.6, 0.7])
    svg = parsed(Chart("t", STEPS, Axis("y", percent=True), [band]))
    assert len(paths(svg, "band")) == 1
    titles = [e.text or "" for e in svg.iter("title")]
    assert titles[0] == "s: 50 % (95 %: 40 % to 60 %)\nenvironment steps: 1"


def test_names_are_escaped_and_the_chart_says_what_it_is() -> None:
    nasty = "<script>alert('x')</script> & \"more\""
    series = [Series(nasty, [1, 2], [1, 2]), Series("b", [1, 2], [1, 2])]
    svg = parsed(Chart(nasty, Axis(nasty), Axis(nasty), series))
    assert svg.get("role") == "img"
    assert nasty in (svg.get("aria-label") or "")
    assert not list(svg.iter("script"))
    assert sum(nasty == (e.text or "") for e in svg.iter("text")) == 4  # title, axes, legend


def test_a_file_of_its_own_brings_its_style() -> None:
    chart = Chart("t", STEPS, Axis("y"), [Series("s", [1, 2], [1, 2])])
    svg = parsed(chart, standalone=True)
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert any(e.tag.endswith("style") for e in svg.iter())
    assert "http" not in chart.svg()


def test_long_lines_are_thinned_by_means() -> None:
    x, y = thin(np.arange(1000.0), np.arange(1000.0), 100)
    assert len(x) == 100
    assert x[0] == 4.5
    assert y[-1] == 994.5
    svg = parsed(Chart("t", STEPS, Axis("y"), [Series("s", range(5000), range(5000))]))
    assert len(list(svg.iter("title"))) <= 100
