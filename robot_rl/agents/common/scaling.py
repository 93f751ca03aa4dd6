"""Input scaling while learning; the formulas are in networks/scaling.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from robot_rl.networks.observation import join_vectors
from robot_rl.networks.scaling import DEVIATION, LOG, MEAN, InputScaling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array

FLOOR = 1e-2
"""Least deviation an input is divided by: constant inputs stay of order one."""


def fit(obs: Mapping[str, Array], spec: EnvSpec, kind: InputScaling, floor: float) -> Tensor:
    """(2, width) float32: mean and deviation of observations (n, ...), or 0 and 1 for none."""
    width = sum(array.size for array in spec.observation if not array.is_image)
    if kind == "none" or not width:
        return torch.stack((torch.zeros(width), torch.ones(width)))
    rows = join_vectors(obs, spec).astype(np.float64)
    found = np.stack((rows.mean(0), np.maximum(rows.std(0), floor)))
    return torch.from_numpy(found.astype(np.float32))


def scaled(x: Tensor, scale: Tensor, kind: InputScaling) -> Tensor:
    """Inputs (rows, width) by scale (2, width)."""
    if kind == "none":
        return x
    z = (x - scale[0]) / scale[1]
    return torch.copysign(torch.log1p(z.abs()), z) if kind == "log" else z


def scale_weights(scale: Tensor, kind: InputScaling) -> dict[str, Array]:
    """What a policy needs to do the same; nothing before `fit`, or where there is no scaling."""
    mean, deviation = scale.detach().cpu().clone()
    if kind == "none" or not bool(deviation.any()):
        return {}
    log = np.array([float(kind == "log")], np.float32)
    return {MEAN: mean.numpy(), DEVIATION: deviation.numpy(), LOG: log}
