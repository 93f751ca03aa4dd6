"""Atomic checkpoints: safetensors and JSON, written aside, synced, renamed, hashed.

A folder `block-<n>` holds `arrays.safetensors` (everything the agent needs to go on bit-equal),
`state.json` (counters, log position, sampler state, the config that decides what is learned) and
`SHA256SUMS` of both, as `sha256sum -c` reads it.
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
from safetensors.numpy import save_file

from robot_rl.data.whole_file import sync_path
from robot_rl.errors import UNREADABLE, CheckpointError
from robot_rl.runtime.tensors import read_tensors
from robot_rl.types import Array

FORMAT = 2
ARRAYS, STATE, SUMS = "arrays.safetensors", "state.json", "SHA256SUMS"
MAX_STATE = 1 << 20
"""Bytes of `state.json`, at most: a stranger's is refused before it is read."""


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What stands beside the arrays."""

    block: int
    """Update blocks done."""
    steps: int
    """Environment steps in replay."""
    position: int
    """Log position behind the last record in replay."""
    version: int
    """Weight version last published."""
    agent: str
    """The agent's `_target_`, compared on loading and never imported from here."""
    spec_sha256: str
    sampler: dict[str, Any]
    """State of the sampling generator."""
    config: dict[str, str]
    """Group choices and values that decide what is learned, by dotted key."""
    format: int = FORMAT


def save_checkpoint(
    folder: Path, arrays: Mapping[str, Array], state: CheckpointState, *, keep: int
) -> Path:
    """Writes `folder/block-<n>` whole or not at all, then removes all but the newest `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"block-{state.block:09d}"
    aside = folder / f".writing-{state.block:09d}-{os.getpid()}"
    for left in folder.glob(".writing-*"):  # by a learner that was killed here
        shutil.rmtree(left, ignore_errors=True)
    aside.mkdir()
    # Not np.ascontiguousarray, which makes one axis of none.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    save_file(contiguous, aside / ARRAYS)
    (aside / STATE).write_bytes(msgspec.json.format(msgspec.json.encode(_Stored.of(state))))
    sums = "".join(f"{_sha256(aside / name)}  {name}\n" for name in (ARRAYS, STATE))
    (aside / SUMS).write_text(sums)
    for path in (aside / ARRAYS, aside / STATE, aside / SUMS, aside):
        sync_path(path)
    if final.exists():  # saved twice, or torn: out of the way first, so that it is never half there
        final.rename(folder / f".replaced-{state.block:09d}-{os.getpid()}")
    aside.rename(final)
    sync_path(folder)
    for old in folder.glob(".replaced-*"):
        shutil.rmtree(old)
    for old in sorted(folder.glob("block-*"))[:-keep]:
        shutil.rmtree(old)
    return final


def load_checkpoint(path: Path) -> tuple[dict[str, Array], CheckpointState]:
    """Reads one checkpoint folder; raises CheckpointError when it is missing, torn or foreign."""
    try:
        if (path / STATE).stat().st_size > MAX_STATE:
            raise CheckpointError(f"{path}/{STATE}: larger than {MAX_STATE} bytes")
        text = (path / STATE).read_bytes()
        # The format first: what an older version wrote is refused as such, not as torn.
        if (found := msgspec.json.decode(text, type=_Format).format) != FORMAT:
            raise CheckpointError(f"{path}: format {found}; this version reads {FORMAT}")
        sums = (path / SUMS).read_bytes()[:MAX_STATE].decode(errors="replace").split()
        for name in (ARRAYS, STATE):
            if sums.count(name) != 1 or sums[sums.index(name) - 1] != _sha256(path / name):
                raise CheckpointError(
                    f"{path}/{name}: torn or changed (its SHA-256 does not match {SUMS})"
                )
        state = msgspec.json.decode(text, type=_Stored).state()
        return read_tensors(path / ARRAYS)[0], state
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise CheckpointError(f"{path}: no whole checkpoint ({missing} is missing)") from error
    except (OSError, ValueError, *UNREADABLE) as error:
        raise CheckpointError(f"{path}: {error}") from error


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


def config_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """`key: then -> now` for each value in which a checkpoint's config and the present differ."""
    keys = [*before, *(key for key in now if key not in before)]
    return [
        f"{key}: {before.get(key, 'unset')} -> {now.get(key, 'unset')}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


class _Format(msgspec.Struct, frozen=True):
    format: int


class _Stored(msgspec.Struct, frozen=True):
    block: int
    steps: int
    position: int
    version: int
    agent: str
    spec_sha256: str
    sampler: dict[str, Any]
    config: dict[str, str]
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
