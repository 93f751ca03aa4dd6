"""A small convolutional encoder of one camera, as functions of named parameters.

Convolutions with ReLU, channels last, the first 8x8 with stride 4 (Mnih et al., 2015: on a CPU the
cost is the memory of the first layer's output); features weighted by their place (spatial learned
embeddings, as in SERL, 2401.16013), then a dense layer, LayerNorm and tanh (DrQ, 2004.13649,
appendix). 10 million multiplications for 128x128x3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from robot_rl.errors import SpecError
from robot_rl.networks.flat import Layout
from robot_rl.specs import ArraySpec

CONVOLUTIONS = ((32, 8, 4, 2), (32, 3, 2, 1), (32, 3, 2, 1), (32, 3, 1, 1))
"""Filters, kernel, stride and padding of each."""
PLACES = 8
"""Learned spatial weightings per channel."""
SMALLEST = 16
"""Least height and width of an image."""


def encoder_layout(cameras: Sequence[ArraySpec], features: int) -> Layout:
    """Arrays `<camera>.c<i>` (out, in, k, k), `.k<i>` (out,), `.place`, `.w`, `.b`, `.g`, `.s`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for camera in cameras:
        height, width, channels = camera.shape
        if min(height, width) < SMALLEST:
            raise SpecError(
                f"camera '{camera.name}': {height}x{width}; valid: {SMALLEST} pixels or more"
            )
        for i, (filters, kernel, stride, padding) in enumerate(CONVOLUTIONS):
            shapes[f"{camera.name}.c{i}"] = (filters, channels, kernel, kernel)
            shapes[f"{camera.name}.k{i}"] = (filters,)
            height = (height + 2 * padding - kernel) // stride + 1
            width = (width + 2 * padding - kernel) // stride + 1
            channels = filters
        shapes[f"{camera.name}.place"] = (channels, height * width, PLACES)
        shapes[f"{camera.name}.w"] = (channels * PLACES, features)
        shapes |= {f"{camera.name}.{name}": (features,) for name in "bgs"}
    return Layout(shapes)


def fresh_encoder(layout: Layout, generator: torch.Generator) -> Tensor:
    """Flat initial parameters: He's uniform for the convolutions, Glorot's beyond, gains 1."""
    flat = torch.zeros(layout.size)
    for name, view in layout.views(flat).items():
        kind = name.rpartition(".")[2]
        if kind[0] == "c":
            bound = math.sqrt(6.0 / view[0].numel())
            view.uniform_(-bound, bound, generator=generator)
        elif kind in ("w", "place"):
            bound = math.sqrt(6.0 / (view.shape[-2] + view.shape[-1]))
            view.uniform_(-bound, bound, generator=generator)
        elif kind == "g":
            view.fill_(1.0)
    return flat


def encode(
    params: Mapping[str, Tensor],
    images: Mapping[str, Tensor],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(rows, cameras * features) float32 in [-1, 1] from uint8 (rows, height, width, 3) images.

    Convolutions run in `dtype`, normalisation in float32.
    """
    return torch.cat([_encode(params, name, image, dtype) for name, image in images.items()], 1)


def _encode(params: Mapping[str, Tensor], name: str, image: Tensor, dtype: torch.dtype) -> Tensor:
    h = image.permute(0, 3, 1, 2).to(dtype).mul_(1.0 / 255.0)  # stored channels last already
    for i, (_, _, stride, padding) in enumerate(CONVOLUTIONS):
        kernel, bias = params[f"{name}.c{i}"].to(dtype), params[f"{name}.k{i}"].to(dtype)
        h = F.relu_(F.conv2d(h, kernel, bias, stride=stride, padding=padding))
    channels_first = h.flatten(2).permute(1, 0, 2)  # (channels, rows, places)
    weighted = torch.bmm(channels_first, params[f"{name}.place"].to(dtype))
    flat = weighted.permute(1, 0, 2).flatten(1).float()
    dense = flat @ params[f"{name}.w"] + params[f"{name}.b"]
    gain, shift = params[f"{name}.g"], params[f"{name}.s"]
    return torch.tanh(F.layer_norm(dense, dense.shape[-1:], gain, shift))
