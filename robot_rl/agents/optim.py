"""Adam on one flat vector, written so that a compiler can fuse it into the update."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Trained:
    """A flat parameter vector with the moments of its Adam (1412.6980, algorithm 1)."""

    value: Tensor
    """(size,) float32."""
    mean: Tensor
    """First moment (size,)."""
    square: Tensor
    """Second moment (size,)."""
    steps: Tensor
    """Steps taken, a float32 scalar."""

    @classmethod
    def fresh(cls, value: Tensor) -> Trained:
        return cls(
            value,
            torch.zeros_like(value),
            torch.zeros_like(value),
            torch.zeros((), device=value.device),
        )

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.value, self.mean, self.square, self.steps

    def clone(self) -> Trained:
        return Trained(*(tensor.clone() for tensor in self.tensors()))


def adam_(trained: Trained, gradient: Tensor, lr: float) -> None:
    """One Adam step in place; `gradient` has the shape of the value."""
    value, mean, square, steps = trained.tensors()
    steps.add_(1.0)
    mean.lerp_(gradient, 1.0 - BETA1)
    square.lerp_(gradient.square(), 1.0 - BETA2)
    size = lr / (1.0 - BETA1**steps)
    root = (square / (1.0 - BETA2**steps)).sqrt_().add_(EPS)
    value.sub_(size * mean / root)
