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


def test_recorded_once_and_anew_for_another_task(tmp_path: Path) -> None:
    first = recorded(tmp_path)
    made = (first / "manifest.json").stat().st_mtime_ns
    assert recorded(tmp_path, "agent.learner.bc_weight=0", "seed=3") == first
    assert (first / "manifest.json").stat().st_mtime_ns == made
    judged = recorded(tmp_path, "task.tolerance=0.03")
    begun = recorded(tmp_path, "task.target_x=[0.45,0.5]")
    assert len({first, judged, begun}) == 3
    assert judged.parent == begun.parent == tmp_path


def test_named_demos_that_were_judged_otherwise_are_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    assert recorded(tmp_path, f"demos.path={path}") == path
    with pytest.raises(SpecError, match=r"facts judged_tolerance: 0\.03 != 0\.015"):
        recorded(tmp_path, f"demos.path={path}", "task.tolerance=0.03")
