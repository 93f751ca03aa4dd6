"""An ingest process at either kind of address, and hosts with keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from keyed_wire import Hosts

from robot_rl.testing.wire_harness import WireHarness


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


@pytest.fixture(params=["tcp", "ipc"])
def wire(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[WireHarness]:
    with WireHarness(tmp_path) as harness:
        if request.param == "tcp":
            harness.addresses = ("tcp://127.0.0.1:*", harness.addresses[1])
        yield harness
