"""The device lane: vendors' SDKs against emulators of their own protocol, with physics behind.

`launch/test.sh devices` installs both and runs this folder in a network namespace of its own (the
emulator binds every interface). An emulator that says it was overloaded makes its violations
inconclusive: such a test skips and says so.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ADDRESS = "127.0.0.1"
EMULATOR = os.environ.get("FRANKA_EMULATOR", "")
"""The folder that install.sh made."""
VIOLATIONS = ("violation", "reflex", "discontinuity")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ready = EMULATOR and importlib.util.find_spec("franky") is not None
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.devices)
            if not ready:
                item.add_marker(pytest.mark.skip("run launch/test.sh devices"))


@dataclass(frozen=True, slots=True)
class Emulator:
    """A Franka emulator that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    def violations(self) -> list[str]:
        """What it objected to so far."""
        lines = self.log.read_text(errors="replace").splitlines()
        objections = [line for line in lines if any(word in line.lower() for word in VIOLATIONS)]
        return [line for line in objections if "INFO" not in line]

    def overloaded(self) -> bool:
        return "overloaded" in self.log.read_text(errors="replace")

    def require_quiet(self) -> None:
        """Fails on a violation, inconclusive where it was overloaded."""
        found = self.violations()
        if found and self.overloaded():
            pytest.skip(f"inconclusive, the emulator was overloaded: {found[0]}")
        assert not found


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """A fresh arm, at its start posture."""
    log = tmp_path / "emulator.log"
    environment = {**os.environ, "FR3_MJCF": f"{EMULATOR}/fr3.xml"}
    command = [
        f"{EMULATOR}/bin/run-franka-sim-server",
        "--enforce-motion-limits",
        "--enforce-comm-constraints",
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            try:
                socket.create_connection((ADDRESS, 1337), timeout=1.0).close()
                break
            except OSError:
                time.sleep(0.1)
        time.sleep(0.5)
        yield Emulator(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
