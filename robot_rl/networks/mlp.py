"""Multilayer perceptrons as functions of named parameters: one network, or E of them batched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from robot_rl.networks.flat import Layout


def mlp_layout(
    inputs: int, hidden: Sequence[int], outputs: int, *, copies: int = 1, layer_norm: bool = False
) -> Layout:
    """Layout of `copies` MLPs: per layer `w` (copies, in, out), `b` (copies, 1, out).

    With `layer_norm` each hidden layer also has a gain `g` and a shift `s` (copies, 1, out).
    """
    shapes: dict[str, tuple[int, ...]] = {}
    widths = [inputs, *hidden, outputs]
    for i in range(len(widths) - 1):
        shapes[f"w{i}"] = (copies, widths[i], widths[i + 1])
        shapes[f"b{i}"] = (copies, 1, widths[i + 1])
        if layer_norm and i < len(hidden):
            shapes[f"g{i}"] = (copies, 1, widths[i + 1])
            shapes[f"s{i}"] = (copies, 1, widths[i + 1])
    return Layout(shapes)


class Thin(torch.autograd.Function):
    """h @ w for a last layer of one output, (E, batch, in) by (E, in, 1), as a fused sum: a matrix
    product this thin is slower.

    The gradient of w is a matrix product all the same. As the sum that autograd would make of it,
    the compiler fuses it with sums over rows and reads h across its rows; without that an update is
    1.03 to 1.07 times as fast (docs/benchmarks.md).
    """

    @staticmethod
    def forward(h: Tensor, w: Tensor) -> Tensor:
        return (h * w.mT).sum(-1, keepdim=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        h, w = ctx.saved_tensors
        return gradient * w.mT, torch.bmm(h.mT, gradient)


def mlp(params: Mapping[str, Tensor], x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Dense → LayerNorm (where the parameters have gains) → ReLU, last layer dense.

    x: (batch, in), shared by all copies, or (copies, batch, in). Gives (copies, batch, out)
    float32. Matrix products run in `dtype`; normalisation and sums in float32.
    """
    copies = params["w0"].shape[0]
    layers = sum(name.startswith("w") for name in params)
    h = x.expand(copies, -1, -1) if x.dim() == 2 else x
    for i in range(layers):
        weight = params[f"w{i}"]
        if weight.shape[-1] == 1:
            h = Thin.apply(h, weight)
        else:
            h = torch.bmm(h.to(dtype), weight.to(dtype)).float()
        h = h + params[f"b{i}"]  # apart from the product: fuses with what follows
        if i == layers - 1:
            break
        if f"g{i}" in params:
            h = F.layer_norm(h, h.shape[-1:]) * params[f"g{i}"] + params[f"s{i}"]
        h = F.relu(h)
    return h
