"""From a Batch to checked tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.networks.observation import join_vectors
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch

ACTION_LIMIT = 1.0 - 1e-5
"""Largest action magnitude trained on: tanh's inverse and log-probability stay finite."""

MIN_DEVIATION = 1e-2
"""Least standard deviation an input is divided by: constant inputs stay of order one."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows for one update block, (N, ...) float32 tensors on the agent's device."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    discount: Tensor
    """Bootstrap factor: discount times mask."""
    demo: Tensor
    """1 for rows of demonstrations and interventions, else 0."""


def to_block(batch: Batch, spec: EnvSpec, rows: int, device: torch.device) -> Block:
    """Checks a batch and moves it; raises SpecError on wrong shapes, PoisonedDataError on NaN."""
    check_batch(batch, spec, rows)
    arrays = (
        join_vectors(batch.obs, spec),
        np.clip(batch.action, -ACTION_LIMIT, ACTION_LIMIT),
        batch.reward,
        join_vectors(batch.next_obs, spec),
        batch.discount * batch.mask,
        np.zeros(rows, np.float32) if batch.demo is None else batch.demo,
    )
    pinned = device.type == "cuda"
    tensors = []
    for array in arrays:
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        if pinned:
            tensor = tensor.pin_memory().to(device, non_blocking=True)
        tensors.append(tensor)
    return Block(*tensors)


def input_scale(obs: Tensor, *, normalize: bool) -> Tensor:
    """(2, width): mean and standard deviation of obs (rows, width), or 0 and 1."""
    if not normalize:
        return torch.stack((torch.zeros_like(obs[0]), torch.ones_like(obs[0])))
    return torch.stack((obs.mean(0), obs.std(0).clamp_min(MIN_DEVIATION)))


def check_batch(batch: Batch, spec: EnvSpec, rows: int) -> None:
    """Shapes against the spec and `rows`; every float finite."""
    for side, arrays in (("obs", batch.obs), ("next_obs", batch.next_obs)):
        names = {array.name for array in spec.observation}
        if set(arrays) != names:
            raise SpecError(f"batch {side} has {sorted(arrays)}, valid: {sorted(names)}")
        for array_spec in spec.observation:
            _check(arrays[array_spec.name], (rows, *array_spec.shape), f"{side}.{array_spec.name}")
    _check(batch.action, (rows, spec.action_dim), "action")
    for name in ("reward", "mask", "discount", "demo"):
        if (array := getattr(batch, name)) is not None:
            _check(array, (rows,), name)


def _check(array: Array, shape: tuple[int, ...], name: str) -> None:
    if array.shape != shape:
        raise SpecError(f"batch {name}: got {list(array.shape)}, valid: {list(shape)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = np.argwhere(~np.isfinite(array))[0].tolist()
        raise PoisonedDataError(
            f"batch {name}: {array[tuple(index)]} at row {index[0]}, index {index[1:]}; "
            "valid: finite"
        )
