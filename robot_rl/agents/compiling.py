"""torch.compile where it can run, eager with one warning where it cannot."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch


def has_toolchain() -> bool:
    """True when a C++ compiler for torch's CPU backend is found (CXX, g++ or clang++)."""
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    return any(name and shutil.which(name) for name in names)


class Compiler:
    """`fast = Compiler(enabled=True, device=device)(function)`; static shapes."""

    def __init__(self, *, enabled: bool, device: torch.device) -> None:
        if enabled and device.type == "cpu" and not has_toolchain():
            warnings.warn(
                "no C++ compiler (g++) found: updates run uncompiled, about 1.5 times slower",
                stacklevel=3,
            )
            enabled = False
        self.enabled = enabled
        self._mode = "reduce-overhead" if device.type == "cuda" else None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not self.enabled:
            return function
        compiled: Callable[..., Any] = torch.compile(function, dynamic=False, mode=self._mode)
        return compiled
