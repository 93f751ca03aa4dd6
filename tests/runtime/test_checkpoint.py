"""Checkpoints on disk: what comes back is what was saved, and a torn one is skipped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from robot_rl.errors import CheckpointError
from robot_rl.runtime.checkpoint import (
    CheckpointState,
    config_changes,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)


def state(block: int) -> CheckpointState:
    sampler = dict(np.random.default_rng(block).bit_generator.state)
    return CheckpointState(
        block=block, steps=block, position=block + 1, version=3, agent="a.B", spec_sha256="0",
        sampler=sampler, config={"seed": "0"},
    )  # fmt: skip


def test_arrays_come_back_as_they_were_saved(tmp_path: Path) -> None:
    arrays = {
        "scalar": np.array(7, np.int64),
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "bytes": np.arange(4, dtype=np.uint8),
    }
    path = save_checkpoint(tmp_path, arrays, state(5), keep=2)
    back, facts = load_checkpoint(path)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    assert facts.block == 5
    generator = np.random.default_rng(0)
    generator.bit_generator.state = facts.sampler
    assert generator.random() == np.random.default_rng(5).random()


def test_the_sums_are_those_of_the_standard_tool(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, {"x": np.zeros(3)}, state(1), keep=1)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=path, check=True)


def test_one_saved_again_is_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        save_checkpoint(tmp_path, {"x": np.full(3, value)}, state(1), keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["block-000000001"]
    assert load_checkpoint(tmp_path / "block-000000001")[0]["x"][0] == 2.0


def test_an_older_format_is_refused_as_such(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, {"x": np.zeros(3)}, state(1), keep=1)
    (path / "state.json").write_text('{"format": 1, "block": 1}')
    with pytest.raises(CheckpointError, match="format 1; this version reads 2"):
        load_checkpoint(path)


def test_changes_of_the_config_are_named() -> None:
    before, now = {"seed": "0", "agent.lr": "1"}, {"seed": "0", "agent.lr": "2", "agent.utd": "4"}
    assert config_changes(before, now) == ["agent.lr: 1 -> 2", "agent.utd: unset -> 4"]


@pytest.mark.parametrize("file", ["arrays.safetensors", "state.json", "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_torn_checkpoint_is_skipped_and_said(tmp_path: Path, file: str, damage: str) -> None:
    for block in (1, 2):
        save_checkpoint(tmp_path, {"x": np.full(8, block, np.float32)}, state(block), keep=2)
    torn = tmp_path / "block-000000002" / file
    whole = torn.read_bytes()
    if damage == "gone":
        torn.unlink()
    elif damage == "cut":
        torn.write_bytes(whole[: len(whole) // 2])
    else:
        torn.write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    found, warnings = newest_checkpoint(tmp_path)
    assert found is not None
    assert found[1].block == 1
    assert len(warnings) == 1
    assert "block-000000002" in warnings[0]
