"""Every place that a guard is taken out of, or a process is killed at, is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from fault_points import POINTS

HERE = Path(__file__).parent
REPLACED = re.compile(r'replace\(\s*"([a-z_.]+:[A-Za-z_.]+)"')


def places() -> list[str]:
    """`module:name` of each, in the guards' sources and among the named points."""
    sources = "".join(path.read_text() for path in sorted(HERE.glob("guards_*.py")))
    named = [place for points in POINTS.values() for place, _ in points.values()]
    return sorted({*REPLACED.findall(sources), *named})


def test_there_are_guards_of_each_side() -> None:
    modules = {place.partition(":")[0].rpartition(".")[0] for place in places()}
    assert {
        "robot_rl.wire",
        "robot_rl.runtime",
        "robot_rl.data",
        "robot_rl.ingest",
        "robot_rl.drivers",
    } <= modules


@pytest.mark.parametrize("place", places())
def test_it_is_there(place: str) -> None:
    module, _, names = place.partition(":")
    found = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    assert found is not None
