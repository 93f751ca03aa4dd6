"""A short soak: nothing lost, nothing doubled, ingest's handles stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import soak


@pytest.mark.slow
def test_soak(tmp_path: Path) -> None:
    found = soak(tmp_path, 200_000)
    assert found["transitions"] == 200_000
    assert (found["lost"], found["doubled"], found["not_byte_equal"]) == (0, 0, 0)
    assert found["ingest_handles_end"] == found["ingest_handles_warm"]
