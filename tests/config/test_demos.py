"""Demonstrations of a run: recorded once for what they show and how they were judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot_rl.commands.prepare import set_demos
from robot_rl.config import load_config
from robot_rl.errors import SpecError
from robot_rl.factory import make_env


def recorded(folder: Path, *words: str) -> Path:
    """`demos.path` as a run with these words has it."""
    cfg = load_config(["task=reach", "demos.episodes=2", f"demos.folder={folder}", *words])
    env = make_env(cfg)
    try:
        set_demos(cfg, env, quiet=True)
    finally:
        env.close()
    return Path(cfg.demos.path)


def test_recorded_once_and_anew_for_another_judgement(tmp_path: Path) -> None:
    first = recorded(tmp_path)
    made = (first / "manifest.json").stat().st_mtime_ns
    assert recorded(tmp_path, "task.target_x=[0.45,0.5]") == first, (
        "where it begins is no judgement"
    )
    assert (first / "manifest.json").stat().st_mtime_ns == made
    other = recorded(tmp_path, "task.tolerance=0.03")
    assert other != first
    assert other.is_relative_to(tmp_path)


def test_named_demos_that_were_judged_otherwise_are_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    assert recorded(tmp_path, f"demos.path={path}") == path
    with pytest.raises(SpecError, match=r"extra judged_tolerance: 0\.03 != 0\.015"):
        recorded(tmp_path, f"demos.path={path}", "task.tolerance=0.03")
