"""Reads safetensors files that anyone may have written."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from robot_rl.errors import UNREADABLE, CheckpointError
from robot_rl.types import Array

DTYPES = ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64")
"""What NumPy has; bfloat16 and the like it has not."""
MAX_HEADER = 8 << 20
"""Bytes of names, shapes and metadata."""


def read_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays and metadata by name; raises CheckpointError on anything but a whole file of numbers
    that NumPy has."""
    try:
        _check_header(path)
        with safe_open(path, framework="numpy") as file:
            meta = file.metadata() or {}
        return load_file(path), meta
    except (SafetensorError, OSError, ValueError, *UNREADABLE) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _check_header(path: Path) -> None:
    """Size and dtypes: the library meets an unknown one with a KeyError, or an abort."""
    with path.open("rb") as file:
        there = path.stat().st_size - 8
        size = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))[0]
        if size > min(there, MAX_HEADER):
            raise CheckpointError(
                f"{path}: a header of {size} bytes; valid: what is there ({max(0, there)}), "
                f"at most {MAX_HEADER}"
            )
        raw = msgspec.json.decode(file.read(size), type=dict[str, dict[str, Any]])
    for name, item in raw.items():
        if name != "__metadata__" and item.get("dtype") not in DTYPES:
            raise CheckpointError(
                f"{path}: '{name}' is {item.get('dtype')}; valid: {', '.join(DTYPES)}"
            )
