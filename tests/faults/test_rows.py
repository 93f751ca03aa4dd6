"""Every row of the fault list holds, and fails as soon as its guard is taken out."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_recorder import Broken
from fault_rows import ROWS, Row
from fault_world import World
from faults_disk import Unable

PARAMETERS = [
    pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.slow else []) for row in ROWS
]


def run(row: Row, folder: Path, *without: str) -> None:
    """Raises Broken where the row's own assertions or invariant I1 do not hold."""
    if why := row.needs():
        pytest.skip(why)
    with World(folder, without=without, settings=dict(row.settings)) as world:
        try:
            row.inject(world)
        except Unable as error:
            pytest.skip(str(error))
        verdict = world.judged or world.finish()
        verdict.require(all_written=not world.host_died)
        if verdict.logged < 10:
            raise Broken(f"only {verdict.logged} records came in at all")


@pytest.mark.parametrize("row", PARAMETERS)
def test_row(tmp_path: Path, row: Row) -> None:
    run(row, tmp_path)


@pytest.mark.parametrize("row", PARAMETERS)
def test_row_twin(tmp_path: Path, row: Row) -> None:
    with pytest.raises(Broken) as found:
        run(row, tmp_path, row.guard)
    print(found.value)
