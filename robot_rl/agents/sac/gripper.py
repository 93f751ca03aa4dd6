"""Discrete heads for grippers: double DQN over close, hold and open, one for each gripper.

As HIL-SERL (Luo et al., 2410.21845, section 3.3): a gripper's action dimension is one of {-1, 0, 1}
and has a critic of its own on the observation, while the Gaussian actor and its critics have the
other dimensions. A squashed Gaussian hovers around 0 where the right command is either extreme.
The heads of several arms are members of one batched network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robot_rl.agents.common.compiling import Step, compiled
from robot_rl.agents.common.optim import Trained, adam_
from robot_rl.agents.common.parameters import Parameters, policy_arrays
from robot_rl.networks.flat import xavier_uniform_
from robot_rl.networks.mlp import mlp, mlp_layout
from robot_rl.types import Array

COMMANDS = 3
"""-1 (close), 0 (hold) and 1 (open), in this order."""


class GripperHead:
    """`head.update(obs, commands, reward, discount, next_obs)` once a critic update."""

    def __init__(
        self,
        width: int,
        hidden: Sequence[int],
        parameters: Parameters,
        *,
        grippers: int,
        dtype: torch.dtype,
        layer_norm: bool,
        final_scale: float,
        lr: float,
        tau: float,
    ) -> None:
        self.layout = mlp_layout(width, hidden, COMMANDS, copies=grippers, layer_norm=layer_norm)
        first = xavier_uniform_(self.layout, parameters.generator, final_scale=final_scale)
        self.q = parameters.trained("gripper", self.layout, first)
        self.target = parameters.plain(
            "gripper_target", self.layout, self.q.value.clone(), follows="gripper"
        )
        self.grippers = grippers
        self.dtype, self.lr, self.tau = dtype, lr, tau
        self._step: Step = self.step

    def compile(self, obs: Tensor, row: Tensor) -> None:
        """Compiles for batches like obs (rows, width) and row (rows,)."""
        commands = row.repeat(self.grippers, 1)
        inputs = (*self.q.tensors, self.target, obs, commands, row, row, obs)
        self._step = compiled(self.step, inputs)

    def update(
        self, obs: Tensor, commands: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor
    ) -> Tensor:
        """One step; commands (rows, grippers) in [-1, 1] are rounded. Gives d loss / d obs (rows,
        width)."""
        (slope,) = self._step(
            *self.q.tensors, self.target, obs, commands.mT.contiguous(), reward, discount, next_obs
        )
        return slope

    def step(
        self, q: Tensor, mean: Tensor, square: Tensor, steps: Tensor, target: Tensor,
        obs: Tensor, commands: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor,
    ) -> tuple[Tensor]:  # fmt: skip
        """y = r + γ m Q'(s', argmax_c Q(s', c)) (van Hasselt et al., 1509.06461, eq. 4); updates
        its arguments in place."""
        best = self.values(q, next_obs).argmax(2, keepdim=True)
        y = reward + discount * self.values(target, next_obs).gather(2, best)[..., 0]
        chosen = (commands.round().clamp(-1.0, 1.0) + 1.0).long()
        gradient, slope = torch.func.grad(self.loss, argnums=(0, 1))(q, obs, chosen, y)
        adam_(Trained(q, mean, square, steps), gradient, self.lr)
        target.lerp_(q, self.tau)
        return (slope,)

    def loss(self, q: Tensor, obs: Tensor, chosen: Tensor, y: Tensor) -> Tensor:
        """Σ over grippers of mean (Q(s, c) - y)²."""
        value = self.values(q, obs).gather(2, chosen[..., None])[..., 0]
        return (value - y).square().mean(1).sum()

    def values(self, q: Tensor, obs: Tensor) -> Tensor:
        """Q(s, ·) (grippers, rows, 3)."""
        return mlp(self.layout.views(q), obs, self.dtype)

    def weights(self) -> dict[str, Array]:
        """For the policy: `gripper.w<i>` and so on."""
        return policy_arrays(self.layout, self.q.value, "gripper.")
