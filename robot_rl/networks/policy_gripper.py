"""The policy with a discrete gripper head, in NumPy: Gaussian motion, greedy gripper command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from robot_rl.networks.grippers import gripper_dims
from robot_rl.networks.policy_mlp import SquashedGaussianPolicy, check_weights
from robot_rl.networks.scaling import InputScale
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation, Plan

COMMANDS = 3
"""-1 (close), 0 (hold), 1 (open)."""
EPS = 1e-5
"""Of LayerNorm, as torch has it."""


class GripperPolicy:
    """Implements `Policy` for an agent with `discrete_gripper`: grippers' actions are -1, 0 or 1.

    The command of greatest value; with probability `epsilon` one at random, unless deterministic.
    Weights: `actor.*` and `scale.*` as SquashedGaussianPolicy without the grippers' dimensions, and
    `gripper.w<i>` (in, out), `gripper.b<i>`, and with LayerNorm `gripper.g<i>`, `gripper.s<i>`
    (out,); of several grippers with a first axis that counts them.
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
        self._grips = list(gripper_dims(spec))
        self._moves = [i for i in range(spec.action_dim) if i not in self._grips]
        moving = replace(spec.action, shape=(len(self._moves),))
        inner = replace(spec, action=moving)
        self._motion = SquashedGaussianPolicy(inner, hidden=hidden, seed=seed)
        self._epsilon, self._layer_norm = epsilon, layer_norm
        self._rng = np.random.default_rng((seed, 1))
        self._keys, self._layers = spec.vector_keys, len(hidden) + 1
        width = sum(array.size for array in spec.observation)
        self._scale, self._width = InputScale(width), width
        self._shapes = gripper_shapes(width, hidden, len(self._grips), layer_norm=layer_norm)
        self._weights: dict[str, Array] = {}

    @property
    def version(self) -> int:
        return self._motion.version

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """As SquashedGaussianPolicy.load, for the gripper's arrays too; all or none are taken."""
        check_weights(weights, self._shapes, version, self.version)
        self._motion.load(weights, version)
        self._scale.load(weights)
        self._weights = {name: np.array(weights[name], np.float32) for name in self._shapes}

    def reset(self, seed: int | None = None) -> None:
        self._motion.reset(seed)
        if seed is not None:
            self._rng = np.random.default_rng((seed, 1))

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        """One action (1, dim) for one unbatched observation; uniform before any weights."""
        plan = self._motion.act(obs, step, stamp_ns, deterministic=deterministic)
        actions = np.empty((1, len(self._moves) + len(self._grips)), np.float32)
        actions[:, self._moves] = plan.actions
        actions[:, self._grips] = self._commands(obs, deterministic) - 1.0
        return replace(plan, actions=actions)

    def _commands(self, obs: Observation, deterministic: bool) -> Array:
        """(grippers,) in 0 … 2."""
        count = len(self._grips)
        if self.version == 0:
            return self._rng.integers(COMMANDS, size=count)
        h = np.concatenate([obs[key].reshape(-1) for key in self._keys]).astype(np.float32)
        self._scale(h)
        h = np.broadcast_to(h, (count, 1, self._width))
        weights = {name: array.reshape(count, -1, array.shape[-1])
                   for name, array in self._weights.items()}  # fmt: skip
        for i in range(self._layers):
            h = h @ weights[f"gripper.w{i}"] + weights[f"gripper.b{i}"]
            if i == self._layers - 1:
                break
            if self._layer_norm:
                mean, spread = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
                h = (h - mean) / np.sqrt(spread + EPS)
                h = h * weights[f"gripper.g{i}"] + weights[f"gripper.s{i}"]
            h = np.maximum(h, 0.0)
        best: Array = h[:, 0].argmax(-1)
        if deterministic:
            return best
        explore = self._rng.random(count) < self._epsilon
        return np.where(explore, self._rng.integers(COMMANDS, size=count), best)


def gripper_shapes(
    inputs: int, hidden: Sequence[int], grippers: int, *, layer_norm: bool
) -> dict[str, tuple[int, ...]]:
    """Arrays of the heads and their shapes."""
    lead = () if grippers == 1 else (grippers,)
    widths = [inputs, *hidden, COMMANDS]
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(len(widths) - 1):
        shapes[f"gripper.w{i}"] = (*lead, widths[i], widths[i + 1])
        names = "bgs" if layer_norm and i < len(hidden) else "b"
        shapes |= {f"gripper.{name}{i}": (*lead, widths[i + 1]) for name in names}
    return shapes
