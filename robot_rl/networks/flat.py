"""Parameters as one flat float32 vector with named views: one Adam, one Polyak, one copy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class Layout:
    """Names and shapes of the arrays in a flat vector, in order; `size` is its length."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.size = sum(self.sizes)

    def views(self, flat: Tensor, prefix: str = "") -> dict[str, Tensor]:
        """Named views of `flat` (size,); writing them writes `flat`."""
        parts = flat.split(self.sizes)
        return {
            prefix + name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


def xavier_uniform_(
    layout: Layout, generator: torch.Generator, *, final_scale: float = 1.0
) -> Tensor:
    """A flat vector with weights `w*` ~ U(±sqrt(6 / (in + out))), gains `g*` 1, the rest 0.

    Glorot & Bengio (2010), eq. 16; the last two axes of a weight are (in, out). The weights of the
    last layer are multiplied by `final_scale`: a small one starts values near 0, which sparse
    rewards would otherwise unlearn first, at the slow rate of the target networks.
    """
    flat = torch.zeros(layout.size)
    last = [name for name in layout.shapes if name.startswith("w")][-1]
    for name, view in layout.views(flat).items():
        if name.startswith("w"):
            bound = math.sqrt(6.0 / (view.shape[-2] + view.shape[-1]))
            view.uniform_(-bound, bound, generator=generator)
            if name == last:
                view.mul_(final_scale)
        elif name.startswith("g"):
            view.fill_(1.0)
    return flat
