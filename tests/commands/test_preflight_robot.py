"""A real robot is never moved by the check, and is opened once."""

from __future__ import annotations

from typing import Any

import pytest

from robot_rl.commands.preflight import preflight
from robot_rl.config import load_config
from robot_rl.errors import ConfigError


class Device:
    """A robot's environment on hardware: whatever would move it fails the test."""

    simulated = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the check called {name} of a real robot")


def test_a_robot_is_not_moved() -> None:
    cfg = load_config(["task=reach", "evaluation.episodes=0"])
    assert preflight(cfg, Device()) == (None, [])


def test_a_robot_opens_once() -> None:
    cfg = load_config(["task=reach"])
    with pytest.raises(ConfigError, match=r"robot=fr3_sim opens once.*evaluation\.where=actor"):
        preflight(cfg, Device())
    assert preflight(cfg, Device(), evaluates=False) == (None, [])
    two = load_config(["task=reach", "actors=2", "evaluation.episodes=0"])
    with pytest.raises(ConfigError, match="valid: actors=1"):
        preflight(two, Device(), evaluates=False)
    assert preflight(two, Device(), alone=True) == (None, [])
