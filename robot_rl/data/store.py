"""The preallocated rows of a replay: one row a record, so each observation is stored once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array

GB = 1e9
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")

COLUMNS: Mapping[str, str] = {
    "reward": "float32",
    "mask": "float32",
    "position": "int64",
    "prev": "int64",
    "next": "int64",
    "epoch": "uint64",
    "sequence": "uint64",
    "episode": "uint32",
    "step": "uint32",
    "source": "uint8",
    "ended": "bool",
    "keep": "bool",
    "success": "int8",
}
"""Columns beside observation and action. mask: 0 where terminated, else 1. prev / next: the row of
the record before / after it in the same unbroken episode, -1 where there is none. position: in the
log, -1 for demonstrations. keep: a transition that the index sets hold."""


@dataclass(frozen=True, slots=True)
class Store:
    """Columns of `rows` rows."""

    obs: dict[str, Array]
    """Per observation (rows, ...), the spec's dtype."""
    action: Array
    """Executed (rows, dim) float32."""
    proposed: Array
    """The policy's proposal before any limit (rows, dim) float32, where the policy or chance
    chose; else the executed action."""
    columns: dict[str, Array]
    """See COLUMNS, each (rows,); "return_to_go" float32 where it is kept."""


def row_bytes(spec: EnvSpec, *, returns: bool = False) -> int:
    """Bytes of one row, every column included."""
    observation = sum(array.size * np.dtype(array.dtype).itemsize for array in spec.observation)
    fixed = sum(np.dtype(dtype).itemsize for dtype in COLUMNS.values())
    return observation + 8 * spec.action_dim + fixed + 4 * returns


def allocate(
    spec: EnvSpec, rows: int, *, extra_bytes: int, limit_gb: float | None, returns: bool = False
) -> Store:
    """The store; raises ConfigError with the bytes needed and available before it allocates.

    extra_bytes: what the caller will need beside it; limit_gb: a bound of the user's own.
    """
    row = row_bytes(spec, returns=returns)
    needed = rows * row + extra_bytes
    available = available_bytes()
    allowed = available if limit_gb is None else min(available, int(limit_gb * GB))
    if needed > allowed:
        why = "free here" if limit_gb is None or allowed == available else "the memory limit"
        fitting = max(0, (allowed - extra_bytes) // row)
        raise ConfigError(
            f"replay: {rows} rows of {row} bytes need {needed / GB:.2f} GB; "
            f"{why}: {allowed / GB:.2f} GB, enough for {fitting} rows: lower replay.capacity"
        )
    columns = dict(COLUMNS) | ({"return_to_go": "float32"} if returns else {})
    return Store(
        obs={array.name: np.zeros((rows, *array.shape), array.dtype) for array in spec.observation},
        action=np.zeros((rows, spec.action_dim), np.float32),
        proposed=np.zeros((rows, spec.action_dim), np.float32),
        columns={name: np.zeros(rows, dtype) for name, dtype in columns.items()},
    )


def available_bytes() -> int:
    """Memory that this process may still take: the host's, or its control group's if less."""
    free = next(
        int(line.split()[1]) * 1024
        for line in MEMINFO.read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.exists() and used.exists() and (text := limit.read_text().strip()) != "max":
        free = min(free, int(text) - int(used.read_text()))
    return free
