"""Logs of format 1, as they were before records had plans, purposes and camera stamps: read only.

A reader gives their records in today's layout, so everything that reads a log reads these too.
Going on with one is refused: its file would hold records of two layouts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from robot_rl.errors import DataError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Purpose
from robot_rl.wire.record import action_fields, record_dtype

HEAD_1 = [
    ("kind", "u1"),
    ("terminated", "u1"),
    ("truncated", "u1"),
    ("source", "u1"),
    ("limiting_stage", "u1"),
    ("success", "i1"),
    ("spare", "u2"),
    ("sequence", "<u8"),
    ("policy_version", "<u8"),
    ("boot_id", "<u8"),
    ("stamp_ns", "<i8"),
    ("action_stamp_ns", "<i8"),
    ("episode", "<u4"),
    ("step", "<u4"),
    ("intervention_id", "<u4"),
    ("reward", "<f4"),
]


def stored_dtype(version: int, spec: EnvSpec) -> np.dtype:
    """The layout in which a log of this format version holds its records."""
    if version != 1:
        return record_dtype(spec)
    observations = [
        (f"obs.{array.name}", np.dtype(array.dtype).newbyteorder("<"), array.shape)
        for array in spec.observation
    ]
    return np.dtype([*HEAD_1, *action_fields(spec), *observations])


def modern(records: Array, spec: EnvSpec) -> Array:
    """Records (n,) in today's layout; what format 1 did not know has its default.

    Purpose TRAINING, no plan, noise seed 0, value NaN; each camera's stamp is the observation's.
    """
    dtype = record_dtype(spec)
    if records.dtype == dtype:
        return records
    rows = np.zeros(len(records), dtype)
    for name in records.dtype.names or ():
        rows[name] = records[name] if name != "spare" else 0
    rows["purpose"], rows["value"] = Purpose.TRAINING, np.nan
    for name in spec.image_keys:
        rows[f"stamp.{name}"] = records["stamp_ns"]
    return rows


def require_current(path: Path, version: int, current: int) -> None:
    """DataError for a log that cannot be gone on with, saying how to."""
    if version != current:
        raise DataError(
            f"{path} is a log of format {version}: this version reads it and writes format "
            f"{current}; valid: a new run that learns from it (demos.path={path}), or the version "
            "that wrote it"
        )
