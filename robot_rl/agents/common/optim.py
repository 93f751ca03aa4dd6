"""Adam on one flat vector, in plain operations that a compiler fuses into the update."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robot_rl.networks.flat import Layout

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Trained:
    """A flat parameter vector with the moments of its Adam."""

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
        moments = torch.zeros_like(value), torch.zeros_like(value)
        return cls(value, *moments, torch.zeros((), device=value.device))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.value, self.mean, self.square, self.steps

    def views(self, name: str, layout: Layout) -> dict[str, Tensor]:
        """All of it as named views: `<name>.<array>`, `<name>.mean.<array>`, …"""
        return (
            {f"{name}.steps": self.steps}
            | layout.views(self.value, f"{name}.")
            | layout.views(self.mean, f"{name}.mean.")
            | layout.views(self.square, f"{name}.square.")
        )


def adam_(trained: Trained, gradient: Tensor, lr: float) -> None:
    """One step of Adam in place (Kingma & Ba, 1412.6980, algorithm 1)."""
    value, mean, square, steps = trained.tensors
    steps.add_(1.0)
    mean.lerp_(gradient, 1.0 - BETA1)
    square.lerp_(gradient.square(), 1.0 - BETA2)
    unbiased = mean / (1.0 - BETA1**steps)
    value.sub_(lr * unbiased / ((square / (1.0 - BETA2**steps)).sqrt() + EPS))
