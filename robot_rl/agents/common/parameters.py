"""All arrays of an agent under their names: parameters with their Adam, and plain ones.

An agent registers what it has once; state, resume and warm starts by part follow. Each part is one
flat float32 vector (`Layout`), so that Adam, Polyak averaging and copies are one operation each.

    arrays = Parameters(seed, device)
    critic = arrays.trained("critic", layout, value, copies=True)
    target = arrays.plain("target", layout, critic.value.clone(), follows="critic")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from robot_rl.agents.common.optim import Trained
from robot_rl.errors import CheckpointError, suggest
from robot_rl.networks.flat import Layout
from robot_rl.types import Array

RNG, BLOCKS = "rng", "blocks"
OPTIMISER = "_optimiser"
"""Of a part's name: the moments of its Adam, a part of their own."""
NOISE = 0.1
"""Of copies that a warm start adds, as a share of each array's own deviation."""


@dataclass(frozen=True, slots=True)
class _Part:
    views: dict[str, Tensor]
    """By the array's name within the part."""
    copies: bool = False
    follows: str = ""


class Parameters:
    """Named parts, and the generator that everything random of the agent comes from."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.generator = torch.Generator().manual_seed(seed)
        self._parts: dict[str, _Part] = {}
        self._tensors: dict[str, Tensor] = {}

    def trained(self, name: str, layout: Layout, value: Tensor, *, copies: bool = False) -> Trained:
        """A part with an Adam. copies: its first axes count members of an ensemble."""
        trained = Trained.fresh(value.to(self.device))
        self._parts[name] = _Part(layout.views(trained.value), copies)
        moments = layout.views(trained.mean, "mean.") | layout.views(trained.square, "square.")
        self._parts[name + OPTIMISER] = _Part({"steps": trained.steps} | moments)
        self._tensors |= trained.views(name, layout)
        return trained

    def plain(
        self, name: str, layout: Layout | None, value: Tensor, *, follows: str = ""
    ) -> Tensor:
        """A part without one: `layout` None for a single tensor. follows: a part of the same layout
        that it becomes a copy of when that one is loaded."""
        value = value.to(self.device)
        views = {"value": value} if layout is None else layout.views(value)
        copies = self._parts[follows].copies if follows else False
        self._parts[name] = _Part(views, copies, follows)
        self._tensors |= {name: value} if layout is None else layout.views(value, f"{name}.")
        return value

    @property
    def tensors(self) -> list[Tensor]:
        """Everything that an update may change, as views."""
        return list(self._tensors.values())

    # -- all of it: checkpoints --------------------------------------------------------------

    def state(self, blocks: int) -> dict[str, Array]:
        """Copies of all arrays, the generator's state and the count of blocks."""
        state = {name: _array(tensor) for name, tensor in self._tensors.items()}
        state[RNG] = self.generator.get_state().numpy().copy()
        state[BLOCKS] = np.array(blocks, dtype=np.int64)
        return state

    def load_state(self, state: Mapping[str, Array]) -> int:
        """Takes `state`; gives the count of blocks.

        Raises CheckpointError naming the first array that is missing, unknown, misshapen, of
        another dtype or not finite, before anything is written.
        """
        template = self.state(0)
        for name, own in template.items():
            if name not in state:
                raise CheckpointError(f"agent state lacks '{name}'; {suggest(name, state)}")
            _check(f"agent state '{name}'", np.asarray(state[name]), own)
        for name in state:
            if name not in template:
                message = f"agent state has unknown '{name}'; {suggest(name, template)}"
                raise CheckpointError(message)
        for name, tensor in self._tensors.items():
            tensor.copy_(torch.from_numpy(np.array(state[name])))
        self.generator.set_state(torch.from_numpy(np.array(state[RNG])))
        return int(state[BLOCKS])

    # -- one by one: warm starts -------------------------------------------------------------

    def parts(self) -> dict[str, dict[str, Array]]:
        """Copies of all parts, in the order in which they are to be loaded."""
        return {
            name: {key: _array(view) for key, view in part.views.items()}
            for name, part in self._parts.items()
        }

    def load_part(self, name: str, arrays: Mapping[str, Array]) -> None:
        """One part; those that follow it become copies. Nothing is written unless all of it fits.

        An array fits if it has the part's shape, axes of length 1 aside (a policy's weights have no
        axis of members). An ensemble takes another number of members: too many are left out; where
        there are too few, member i begins as member i mod their number, each of its arrays with
        normal noise of a tenth of the array's own deviation, so that members differ. Else raises
        CheckpointError naming the part, the array and what is valid.
        """
        if name not in self._parts:
            raise CheckpointError(f"this agent has no part '{name}': {suggest(name, self._parts)}")
        part = self._parts[name]
        fitted: dict[str, Tensor] = {}
        for key, view in part.views.items():
            if key not in arrays:
                raise CheckpointError(f"part '{name}' lacks '{key}'; {suggest(key, arrays)}")
            fitted[key] = self._fitted(name, key, np.asarray(arrays[key]), view, part.copies)
        if unknown := [key for key in arrays if key not in part.views]:
            message = f"part '{name}' has unknown '{unknown[0]}'; "
            raise CheckpointError(message + suggest(unknown[0], part.views))
        targets = [part, *(other for other in self._parts.values() if other.follows == name)]
        for target in targets:
            for key, tensor in fitted.items():
                target.views[key].copy_(tensor)

    def _fitted(self, name: str, key: str, array: Array, view: Tensor, copies: bool) -> Tensor:
        what, own = f"part '{name}': '{key}'", _array(view)
        if copies and array.ndim == own.ndim and array.shape[1:] == own.shape[1:] and len(array):
            _check(what, array, np.empty(array.shape, own.dtype))
            there = torch.from_numpy(np.array(array))
            tensor = there[torch.arange(len(own)) % len(array)].clone()
            if len(own) > len(array):
                added = tensor[len(array) :]
                noise = torch.randn(added.shape, generator=self.generator)
                added.add_(noise * (NOISE * there.std(unbiased=False)))
            return tensor
        if array.squeeze().shape == own.squeeze().shape:
            array = array.reshape(own.shape)
        _check(what, array, own)
        return torch.from_numpy(np.array(array))


def split_parts(state: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """The arrays of a checkpoint or of a policy file by part, see `Parameters.parts`."""
    parts: dict[str, dict[str, Array]] = {}
    for name, array in state.items():
        part, _, key = name.partition(".")
        if key == "steps" or key.startswith(("mean.", "square.")):
            part += OPTIMISER
        parts.setdefault(part, {})[key or "value"] = array
    if "mean" in (scale := parts.get("scale", {})) and "deviation" in scale:  # of a policy
        parts["scale"] = {"value": np.stack((scale["mean"], scale["deviation"]))}
    return parts


def policy_arrays(layout: Layout, flat: Tensor, prefix: str) -> dict[str, Array]:
    """One MLP for a policy: `<prefix>w<i>` (in, out), the rest (out,), float32; of several
    members (members, in, out) and (members, out)."""
    views = layout.views(flat.detach().cpu().clone())
    weights = {name: view if name[0] == "w" else view[:, 0] for name, view in views.items()}
    return {
        prefix + name: (weight[0] if len(weight) == 1 else weight).contiguous().numpy()
        for name, weight in weights.items()
    }


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().clone().numpy()
    return array


def _check(what: str, array: Array, own: Array) -> None:
    if array.shape != own.shape or array.dtype != own.dtype:
        raise CheckpointError(
            f"{what}: got {array.dtype}{list(array.shape)}, valid: {own.dtype}{list(own.shape)}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CheckpointError(f"{what} holds NaN or infinity; valid: finite")
