"""A short soak: nothing lost, nothing doubled, all of it in replay, handles stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import soak


@pytest.mark.slow
def test_soak(tmp_path: Path) -> None:
    found = soak(tmp_path, 200_000)
    assert found["transitions"] == 200_000
    assert (found["lost"], found["doubled"], found["not_byte_equal"]) == (0, 0, 0)
    assert found["steps_in_replay"] == found["steps"]
    assert not found["reader_has_torch"]
    for who in ("ingest", "reader"):
        assert found[f"{who}_handles_end"] == found[f"{who}_handles_warm"]
