"""The squashed Gaussian of SAC (Haarnoja et al., 1812.05905, appendix C)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


def squashed_sample(outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Action tanh(mean + std * noise) and its log-probability.

    outputs: (..., 2 dim), mean then log standard deviation (clipped); noise: (..., dim) ~ N(0, 1).
    Gives action (..., dim) and log-probability (...,), with
    log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)), which stays finite where tanh saturates.
    """
    mean, log_std = outputs.chunk(2, dim=-1)
    log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
    u = mean + log_std.exp() * noise
    return torch.tanh(u), _log_prob(noise, log_std, u)


def squashed_log_prob(mean: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    """log π of actions tanh(u) (..., dim), u finite: gives (...,)."""
    log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
    return _log_prob((u - mean) * (-log_std).exp(), log_std, u)


def _log_prob(noise: Tensor, log_std: Tensor, u: Tensor) -> Tensor:
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    correction = 2.0 * (math.log(2.0) - u - F.softplus(-2.0 * u))
    return (gaussian - correction).sum(-1)
