"""Compiled updates on a CPU where a C++ compiler is found; eager with one warning elsewhere."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[..., tuple[Tensor, ...]]


def has_toolchain() -> bool:
    """True when a C++ compiler for torch's CPU backend is found (CXX, g++ or clang++)."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    return any(name and shutil.which(name) for name in names)


def compiled(function: Step, example: Sequence[Tensor]) -> Step:
    """`function` of tensors of these shapes, compiled; it may write its arguments in place.

    Traced once and given to torch's compiler directly: `torch.compile` would check at every call
    what cannot change here, at a twentieth of an update. The first compilation on a machine takes
    10 to 20 s, later ones are read from torch's cache. Falls back to `function`.
    """
    if not has_toolchain():
        return _eager(function, "no C++ compiler (g++) found")
    from torch._inductor import compile as compile_graph
    from torch._inductor.exc import CppCompileError, InductorError, InvalidCxxCompiler
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad():
        distinct: list[Tensor | int | torch.SymInt | None] = [
            tensor.clone() for tensor in example
        ]  # one tensor twice would trace as one
        graph = make_fx(lambda *args: function(*args), tracing_mode="fake")(*distinct)
        try:
            fast: Step = compile_graph(graph, distinct)
            fast(*distinct)
        except (CppCompileError, InductorError, InvalidCxxCompiler) as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return _eager(function, f"compilation failed ({lines[0] if lines else error!r})")
    return fast


def _eager(function: Step, why: str) -> Step:
    warnings.warn(f"{why}: updates run uncompiled, about 1.7 times slower", stacklevel=3)
    return function
