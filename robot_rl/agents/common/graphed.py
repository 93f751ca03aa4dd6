"""A block of updates as one CUDA graph; on a CPU the plain function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UPS = 3
"""Runs before the capture, as torch.cuda.graph asks for (lazy initialisation of libraries)."""


class Graphed:
    """`outputs = graphed(*inputs)` for a function of tensors of fixed shapes.

    On CUDA the first call runs `function` a few times, undoes what that changed in `changed`, and
    captures it; from then on inputs are copied to fixed buffers and the graph is replayed. Outputs
    are buffers, valid until the next call.
    """

    def __init__(
        self, function: Callable[..., Tensor], changed: Callable[[], Sequence[Tensor]]
    ) -> None:
        self._function, self._changed = function, changed
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._output = torch.empty(0)

    def __call__(self, *inputs: Tensor) -> Tensor:
        if inputs[0].device.type != "cuda":
            return self._function(*inputs)
        if self._graph is None:
            self._inputs = tuple(tensor.clone() for tensor in inputs)
            self._graph = self._capture()
        for own, new in zip(self._inputs, inputs, strict=True):
            own.copy_(new, non_blocking=True)
        self._graph.replay()
        return self._output

    def _capture(self) -> torch.cuda.CUDAGraph:
        before = [tensor.detach().clone() for tensor in self._changed()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._function(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._output = self._function(*self._inputs)
        with torch.no_grad():
            for tensor, old in zip(self._changed(), before, strict=True):
                tensor.copy_(old)
        return graph
