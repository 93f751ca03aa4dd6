"""Precision of matrix products by what the processor has; never by timing. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
CPUINFO = Path("/proc/cpuinfo")
UNITS = ("avx512_bf16", "amx_bf16")
"""CPU flags of units that multiply bfloat16."""


def chosen_precision(wanted: Precision, device: str) -> Literal["float32", "bfloat16"]:
    """`wanted`, or for "auto": bfloat16 on a CPU with units for it, else float32."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if device == "cpu" and bfloat16_units() else "float32"


def bfloat16_units() -> list[str]:
    """The flags of this processor's bfloat16 units; none where it does not say."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return [name for name in UNITS if name in flags]
