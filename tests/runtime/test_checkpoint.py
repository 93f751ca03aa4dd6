"""Checkpoints on disk: what comes back is what was saved, and a torn one is skipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.runtime.checkpoint import (
    CheckpointState,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)


def state(block: int) -> CheckpointState:
    sampler = dict(np.random.default_rng(block).bit_generator.state)
    return CheckpointState(
        block=block, steps=block, version=3, agent="a.B", spec_sha256="0", sampler=sampler
    )


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


def test_a_torn_checkpoint_is_skipped_and_said(tmp_path: Path) -> None:
    for block in (1, 2):
        save_checkpoint(tmp_path, {"x": np.full(8, block, np.float32)}, state(block), keep=2)
    torn = tmp_path / "block-000000002" / "arrays.safetensors"
    torn.write_bytes(torn.read_bytes()[:-1])
    found, warnings = newest_checkpoint(tmp_path)
    assert found is not None
    assert found[1].block == 1
    assert len(warnings) == 1
    assert "torn" in warnings[0]
