"""From a Batch to checked tensors on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.networks.observation import join_vectors
from robot_rl.sampling import Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch

ACTION_LIMIT = 1.0 - 1e-5
"""Largest action magnitude trained on: tanh's inverse and log-probability stay finite."""


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


def to_block(batch: Batch, spec: EnvSpec, sampling: Sampling, device: torch.device) -> Block:
    """Checks a batch and moves it; raises SpecError on wrong shapes, PoisonedDataError on NaN."""
    check_batch(batch, spec, sampling)
    rows = sampling.rows
    arrays = (
        join_vectors(batch.obs, spec),
        np.clip(batch.action, -ACTION_LIMIT, ACTION_LIMIT),
        batch.reward,
        join_vectors(batch.next_obs, spec),
        batch.discount * batch.mask,
        np.zeros(rows, np.float32) if batch.demo is None else batch.demo,
    )
    return Block(*(to_device(np.asarray(array, np.float32), device) for array in arrays))


def to_device(array: Array, device: torch.device) -> Tensor:
    """A tensor of the array on the device, without waiting for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def check_batch(batch: Batch, spec: EnvSpec, sampling: Sampling) -> None:
    """Shapes against the spec and what was asked for; every float finite."""
    rows = sampling.rows
    lead = (rows,) if sampling.history == 1 else (rows, sampling.history)
    steps = (rows,) if sampling.horizon == 1 else (rows, sampling.horizon)
    for side, arrays in (("obs", batch.obs), ("next_obs", batch.next_obs)):
        names = {array.name for array in spec.observation}
        if set(arrays) != names:
            raise SpecError(f"batch {side} has {sorted(arrays)}, valid: {sorted(names)}")
        for array_spec in spec.observation:
            _check(arrays[array_spec.name], (*lead, *array_spec.shape), f"{side}.{array_spec.name}")
    _check(batch.action, (*steps, spec.action_dim), "action")
    for name in ("reward", "mask", "discount", "demo", "return_to_go", "weight"):
        if (array := getattr(batch, name)) is not None:
            _check(array, (rows,), name)
    if sampling.horizon > 1:
        _check(np.zeros(0) if batch.valid is None else batch.valid, steps, "valid")
    if sampling.return_to_go and batch.return_to_go is None:
        raise SpecError("batch return_to_go is missing; valid: asked for by this agent's sampling")


def _check(array: Array, shape: tuple[int, ...], name: str) -> None:
    if array.shape != shape:
        raise SpecError(f"batch {name}: got {list(array.shape)}, valid: {list(shape)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = np.argwhere(~np.isfinite(array))[0].tolist()
        raise PoisonedDataError(
            f"batch {name}: {array[tuple(index)]} at row {index[0]}, index {index[1:]}; "
            "valid: finite"
        )
