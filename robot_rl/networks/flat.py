"""Parameters as one flat float32 vector with named views: one Adam, one Polyak, one copy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the arrays in a flat vector, in order."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.shapes.values()]

    @property
    def size(self) -> int:
        """Length of the flat vector."""
        return sum(self.sizes)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Named views of `flat` (size,); differentiable, and writable outside a graph."""
        parts = flat.split(self.sizes)
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


def xavier_uniform_(layout: Layout, generator: torch.Generator) -> Tensor:
    """A flat vector with weights `w*` ~ U(±sqrt(6 / (in + out))), gains `g*` 1, the rest 0.

    Glorot & Bengio (2010), eq. 16; the last two axes of a weight are (in, out).
    """
    flat = torch.zeros(layout.size)
    for name, view in layout.views(flat).items():
        if name.startswith("w"):
            bound = math.sqrt(6.0 / (view.shape[-2] + view.shape[-1]))
            view.uniform_(-bound, bound, generator=generator)
        elif name.startswith("g"):
            view.fill_(1.0)
    return flat
