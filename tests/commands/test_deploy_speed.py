"""The first deployment on a robot is slow, until that very robot has moved without a fault."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from robot_rl.commands.deploy import Deployment, speed_of
from robot_rl.errors import ConfigError

FIRST, ADDRESS = 0.3, "172.16.0.2"


def whole(**changes: object) -> Deployment:
    """The log of a deployment that no fault ended, on fr3 at ADDRESS."""
    log = Deployment(
        run="run", robot="fr3", version=3, speed=FIRST, plant="", episodes=2, successes=1,
        interval_95=(0.0, 1.0), fault="", seeds=[0, 1], success=[1, 0], returns=[1.0, 0.0],
        lengths=[9, 40], takeovers=[0, 0], late_periods=0, address=ADDRESS, dry_run=False,
    )  # fmt: skip
    return msgspec.structs.replace(log, **changes)


def speed(folder: Path, asked: float | None = None, address: str = ADDRESS) -> float:
    return speed_of(argparse.Namespace(speed=asked, first_speed=FIRST), folder, "fr3", address)


def keep(folder: Path, data: bytes) -> None:
    (folder / "deploy").mkdir()
    (folder / "deploy" / "fr3-20261125-120000.json").write_bytes(data)


def test_slow_until_a_whole_deployment(tmp_path: Path) -> None:
    assert speed(tmp_path) == FIRST
    keep(tmp_path, msgspec.json.encode(whole()))
    assert speed(tmp_path) == 1.0
    assert speed(tmp_path, asked=0.5) == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"dry_run": True},
        {"fault": "joint 2 at 1.9 rad is beyond its range"},
        {"episodes": 0},
        {"robot": "fr3_left"},
        {"address": "172.16.0.3"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_counts_as_no_deployment(changes: dict[str, object], tmp_path: Path) -> None:
    keep(tmp_path, msgspec.json.encode(whole(**changes)))
    assert speed(tmp_path) == FIRST


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"robot": "fr3"}', b"[" * 5000])
def test_a_log_that_cannot_be_read_counts_as_none(data: bytes, tmp_path: Path) -> None:
    keep(tmp_path, data)
    assert speed(tmp_path) == FIRST


@pytest.mark.parametrize("asked", [0.0, -1.0, 1.5, float("nan")])
def test_a_speed_that_is_none(asked: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"valid: above 0, at most 1"):
        speed(tmp_path, asked=asked)
