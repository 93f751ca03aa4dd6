"""An ingest process and I/O processes, over ipc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_rl.testing.wire_harness import WireHarness


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[WireHarness]:
    with WireHarness(tmp_path) as harness:
        yield harness
