"""An agent's state as named NumPy arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from robot_rl.errors import CheckpointError, suggest
from robot_rl.networks.flat import Layout
from robot_rl.types import Array

RNG, BLOCKS = "rng", "blocks"


def pack(
    tensors: Mapping[str, Tensor], generator: torch.Generator, blocks: int
) -> dict[str, Array]:
    """Copies of all tensors, the generator's state and the count of blocks."""
    state: dict[str, Array] = {
        name: tensor.detach().cpu().clone().numpy() for name, tensor in tensors.items()
    }
    state[RNG] = generator.get_state().numpy().copy()
    state[BLOCKS] = np.array(blocks, dtype=np.int64)
    return state


def unpack(
    state: Mapping[str, Array], tensors: Mapping[str, Tensor], generator: torch.Generator
) -> int:
    """Writes `state` into the tensors and the generator; gives the count of blocks.

    Raises CheckpointError naming the first array that is missing, unknown, misshapen, of another
    dtype or not finite, before anything is written.
    """
    template = pack(tensors, generator, 0)
    for name, own in template.items():
        if name not in state:
            raise CheckpointError(f"agent state lacks '{name}'; {suggest(name, state)}")
        array = np.asarray(state[name])
        if array.shape != own.shape or array.dtype != own.dtype:
            raise CheckpointError(
                f"agent state '{name}': got {array.dtype}{list(array.shape)}, "
                f"valid: {own.dtype}{list(own.shape)}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"agent state '{name}' holds NaN or infinity; valid: finite")
    for name in state:
        if name not in template:
            raise CheckpointError(f"agent state has unknown '{name}'; {suggest(name, template)}")
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(np.array(state[name])))
    generator.set_state(torch.from_numpy(np.array(state[RNG])))
    return int(state[BLOCKS])


def policy_arrays(layout: Layout, flat: Tensor, prefix: str, scale: Tensor) -> dict[str, Array]:
    """One MLP for a policy: `<prefix>w<i>` (in, out), the rest (out,), float32.

    scale (2, in): mean and deviation of the inputs, folded into the first layer; deviation 0: none.
    """
    views = layout.views(flat.detach().cpu().clone())
    weights = {name: view[0] for name, view in views.items()}
    mean, deviation = scale.cpu()
    if bool(deviation.any()):
        weights["w0"] = weights["w0"] / deviation[:, None]
        weights["b0"] = weights["b0"] - mean @ weights["w0"]
    return {
        prefix + name: (weight if name[0] == "w" else weight[0]).contiguous().numpy()
        for name, weight in weights.items()
    }
