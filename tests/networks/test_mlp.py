"""The batched perceptron and its thin last layer, against plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from robot_rl.networks.flat import xavier_uniform_
from robot_rl.networks.mlp import Thin, mlp, mlp_layout


def plain(params: dict[str, Tensor], x: Tensor, copy: int) -> Tensor:
    """One of the networks, layer by layer as torch documents them."""
    h = x
    for i in range(2):
        h = F.linear(h, params[f"w{i}"][copy].mT, params[f"b{i}"][copy, 0])
        h = F.layer_norm(h, h.shape[-1:], params[f"g{i}"][copy, 0], params[f"s{i}"][copy, 0])
        h = F.relu(h)
    return F.linear(h, params["w2"][copy].mT, params["b2"][copy, 0])


def test_values_and_every_gradient_are_those_of_plain_layers() -> None:
    layout = mlp_layout(5, (16, 12), 1, copies=3, layer_norm=True)
    flat = xavier_uniform_(layout, torch.Generator().manual_seed(0)).double()
    flat = (flat + 0.01 * torch.arange(flat.numel()).sin()).requires_grad_()
    x = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = torch.arange(21.0, dtype=torch.float64).reshape(3, 7).cos()
    h = x.clone().requires_grad_()
    params = {name: part.clone() for name, part in layout.views(flat).items()}
    expected = torch.stack([plain(params, h, copy)[:, 0] for copy in range(3)])
    wanted = torch.autograd.grad((weights * expected).sum(), (flat, h))
    double = mlp(layout.views(flat), h, torch.float64)[..., 0]
    torch.testing.assert_close(double, expected.to(double.dtype), rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad((weights * double).sum(), (flat, h))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_thin_layer_passes_the_gradient_check() -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(2, 5, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    w = torch.randn(2, 4, 1, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(Thin.apply, (h, w))
