from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_run import Clock

from robot_rl.metrics import writer as metrics


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of the test's own where metrics files look at the time."""
    clock = Clock()
    monkeypatch.setattr(metrics, "time", clock)
    return clock
