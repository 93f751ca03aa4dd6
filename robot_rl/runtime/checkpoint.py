"""Atomic checkpoints: safetensors and JSON, written aside, synced, renamed, hashed.

A folder `block-<n>` holds `arrays.safetensors` (everything the agent needs to go on bit-equal) and
`state.json` (counters, log position, sampler state, choices, and the arrays' SHA-256).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from robot_rl.errors import CheckpointError
from robot_rl.types import Array

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What stands beside the arrays."""

    block: int
    """Update blocks done."""
    steps: int
    """Environment steps in replay."""
    version: int
    """Weight version last published."""
    agent: str
    """The agent's `_target_`, compared on loading and never imported from here."""
    spec_sha256: str
    sampler: dict[str, Any]
    """State of the sampling generator."""
    arrays_sha256: str = ""
    format: int = FORMAT


def save_checkpoint(
    folder: Path, arrays: Mapping[str, Array], state: CheckpointState, *, keep: int
) -> Path:
    """Writes `folder/block-<n>` whole or not at all, then removes all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"block-{state.block:09d}"
    aside = folder / f".writing-{state.block:09d}-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    # Not np.ascontiguousarray, which makes one axis of none.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    save_file(contiguous, aside / "arrays.safetensors")
    digest = _sha256(aside / "arrays.safetensors")
    text = msgspec.json.encode(msgspec.structs.replace(_Stored.of(state), arrays_sha256=digest))
    (aside / "state.json").write_bytes(msgspec.json.format(text, indent=2))
    for name in ("arrays.safetensors", "state.json"):
        _sync(aside / name)
    if final.exists():
        shutil.rmtree(final)
    aside.rename(final)
    _sync(folder)
    for old in sorted(folder.glob("block-*"))[:-keep]:
        shutil.rmtree(old)
    return final


def load_checkpoint(path: Path) -> tuple[dict[str, Array], CheckpointState]:
    """Reads one checkpoint folder; raises CheckpointError when it is missing, torn or foreign."""
    try:
        stored = msgspec.json.decode((path / "state.json").read_bytes(), type=_Stored)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no checkpoint (state.json is missing)") from error
    except (msgspec.MsgspecError, OSError) as error:
        raise CheckpointError(f"{path}/state.json: {error}") from error
    if stored.format != FORMAT:
        raise CheckpointError(f"{path}: format {stored.format}; this version reads {FORMAT}")
    arrays = path / "arrays.safetensors"
    if not arrays.exists() or _sha256(arrays) != stored.arrays_sha256:
        raise CheckpointError(f"{arrays}: torn or changed (its SHA-256 does not match state.json)")
    try:
        return load_file(arrays), stored.state()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{arrays}: {error}") from error


def newest_checkpoint(
    folder: Path,
) -> tuple[tuple[dict[str, Array], CheckpointState] | None, list[str]]:
    """The newest good checkpoint, or None, and a warning for each torn one that was skipped."""
    warnings: list[str] = []
    for path in sorted(folder.glob("block-*"), reverse=True):
        try:
            return load_checkpoint(path), warnings
        except CheckpointError as error:
            warnings.append(f"skipped a checkpoint: {error}")
    return None, warnings


class _Stored(msgspec.Struct, frozen=True):
    block: int
    steps: int
    version: int
    agent: str
    spec_sha256: str
    sampler: dict[str, Any]
    arrays_sha256: str
    format: int

    @classmethod
    def of(cls, state: CheckpointState) -> _Stored:
        return cls(
            **{name: getattr(state, name) for name in cls.__struct_fields__ if name != "sampler"},
            sampler=_portable(state.sampler),
        )

    def state(self) -> CheckpointState:
        raw = {name: getattr(self, name) for name in self.__struct_fields__}
        return CheckpointState(**{**raw, "sampler": _from_portable(self.sampler)})


def _portable(raw: dict[str, Any]) -> dict[str, Any]:
    """NumPy's generator state holds integers of 128 bits, which JSON readers refuse: as text."""
    return {
        key: _portable(value)
        if isinstance(value, dict)
        else f"int:{value}"
        if isinstance(value, int)
        else value
        for key, value in raw.items()
    }


def _from_portable(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _from_portable(value)
        if isinstance(value, dict)
        else int(value[4:])
        if isinstance(value, str) and value.startswith("int:")
        else value
        for key, value in raw.items()
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
