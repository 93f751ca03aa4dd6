"""The policy with a discrete gripper head, in NumPy: Gaussian motion, greedy gripper command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from robot_rl.networks.policy_mlp import SquashedGaussianPolicy, check_weights
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation, Plan

COMMANDS = 3
"""-1 (close), 0 (hold), 1 (open)."""
EPS = 1e-5
"""Of LayerNorm, as torch has it."""


class GripperPolicy:
    """Implements `Policy` for an agent with `discrete_gripper`: the last action is -1, 0 or 1.

    The command of greatest value; with probability `epsilon` one at random, unless deterministic.
    Weights: `actor.*` as SquashedGaussianPolicy without the last dimension, and `gripper.w<i>`
    (in, out), `gripper.b<i>`, and with LayerNorm `gripper.g<i>`, `gripper.s<i>` (out,).
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        hidden: Sequence[int] = (256, 256),
        layer_norm: bool = True,
        epsilon: float = 0.1,
        seed: int = 0,
    ) -> None:
        moving = replace(spec.action, shape=(spec.action_dim - 1,))
        inner = replace(spec, action=moving)
        self._motion = SquashedGaussianPolicy(inner, hidden=hidden, seed=seed)
        self._epsilon, self._layer_norm = epsilon, layer_norm
        self._rng = np.random.default_rng((seed, 1))
        self._keys, self._layers = spec.vector_keys, len(hidden) + 1
        width = sum(array.size for array in spec.observation)
        self._shapes = gripper_shapes(width, hidden, layer_norm=layer_norm)
        self._weights: dict[str, Array] = {}

    @property
    def version(self) -> int:
        return self._motion.version

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """As SquashedGaussianPolicy.load, for the gripper's arrays too; all or none are taken."""
        check_weights(weights, self._shapes, version, self.version)
        self._motion.load(weights, version)
        self._weights = {name: np.array(weights[name], np.float32) for name in self._shapes}

    def reset(self, seed: int | None = None) -> None:
        self._motion.reset(seed)
        if seed is not None:
            self._rng = np.random.default_rng((seed, 1))

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        """One action (1, dim) for one unbatched observation; uniform before any weights."""
        chunk = self._motion.act(obs, step, stamp_ns, deterministic=deterministic)
        command = self._command(obs, deterministic)
        gripper = np.full((1, 1), command - 1.0, np.float32)
        return replace(chunk, actions=np.concatenate([chunk.actions, gripper], axis=1))

    def _command(self, obs: Observation, deterministic: bool) -> int:
        explore = not deterministic and self._rng.random() < self._epsilon
        if self.version == 0 or explore:
            return int(self._rng.integers(COMMANDS))
        h = np.concatenate([obs[key].reshape(-1) for key in self._keys]).astype(np.float32)
        weights = self._weights
        for i in range(self._layers):
            h = h @ weights[f"gripper.w{i}"] + weights[f"gripper.b{i}"]
            if i == self._layers - 1:
                break
            if self._layer_norm:
                h = (h - h.mean()) / np.sqrt(h.var() + EPS)
                h = h * weights[f"gripper.g{i}"] + weights[f"gripper.s{i}"]
            h = np.maximum(h, 0.0)
        return int(h.argmax())


def gripper_shapes(
    inputs: int, hidden: Sequence[int], *, layer_norm: bool
) -> dict[str, tuple[int, ...]]:
    """Arrays of the head and their shapes."""
    widths = [inputs, *hidden, COMMANDS]
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(len(widths) - 1):
        shapes[f"gripper.w{i}"] = (widths[i], widths[i + 1])
        names = "bgs" if layer_norm and i < len(hidden) else "b"
        shapes |= {f"gripper.{name}{i}": (widths[i + 1],) for name in names}
    return shapes
