"""Policy snapshots: which files count, and what a torn one says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from robot_rl.errors import CheckpointError
from robot_rl.runtime.evaluator import load_policy, snapshots


def test_a_stray_file_among_snapshots_is_no_snapshot(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    for name in ("step-10", "step-best", "step-", "step-9"):
        (tmp_path / "policies" / f"{name}.safetensors").touch()
    assert sorted(steps for steps, _ in snapshots(tmp_path)) == [9, 10]


def test_a_snapshot_comes_back_and_a_torn_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "step-1.safetensors"
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_file(arrays, path, metadata={"version": "7", "agent": "a.B"})
    weights, version, agent = load_policy(path)
    assert (version, agent) == (7, "a.B")
    np.testing.assert_array_equal(weights["w"], arrays["w"])
    whole = path.read_bytes()
    for size in (0, 5, 40, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"step-1\.safetensors"):
            load_policy(path)
