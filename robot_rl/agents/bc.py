"""Behaviour cloning: the likelihood of the actions shown, or the least distance to them.

Its weights are those of SquashedGaussianPolicy, and its part `actor` is one that SAC can begin
with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robot_rl.agents.common.base import ParameterAgent
from robot_rl.agents.common.block import to_block
from robot_rl.agents.common.optim import Trained, adam_
from robot_rl.agents.common.options import check_device, check_spec
from robot_rl.agents.common.parameters import policy_arrays
from robot_rl.agents.common.scaling import FLOOR, scale_weights
from robot_rl.errors import ConfigError
from robot_rl.networks.flat import xavier_uniform_
from robot_rl.networks.gaussian import squashed_log_prob
from robot_rl.networks.mlp import mlp, mlp_layout
from robot_rl.networks.observation import vector_size
from robot_rl.networks.scaling import InputScaling
from robot_rl.sampling import Sampling, demos_and_online
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch

LOG_STD = -3.0
"""Of a deterministic policy's actions where they are sampled all the same."""
LEAST_LOG_STD = -4.0
"""Below it the likelihood of a few rows would outweigh all others."""


class BC(ParameterAgent):
    """Implements `Agent`; Gaussian: minimises -log π(a|s); else the mean's squared distance."""

    metrics = ("bc_loss", "mean_error", "bc_grad_norm")

    def __init__(
        self,
        spec: EnvSpec,
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,
        batch_size: int = 256,
        utd: int = 4,  # steps of Adam a block
        demo_ratio: float = 1.0,  # the rest from what the policy did online
        hidden: Sequence[int] = (256, 256),
        lr: float = 3e-4,
        gaussian: bool = True,
        input_scaling: InputScaling = "none",
        input_floor: float = FLOOR,
        metrics_every: int = 50,
    ) -> None:
        check_spec(spec, images=False)
        check_device(device)
        if not lr > 0.0:
            raise ConfigError(f"lr={lr}; valid: above 0")
        super().__init__(
            spec, Sampling(batch_size, utd, demos_and_online(demo_ratio)), seed=seed,
            device=device, threads=threads, input_scaling=input_scaling, input_floor=input_floor,
            metrics_every=metrics_every,
        )  # fmt: skip
        self.lr, self.gaussian = lr, gaussian
        self.layout = mlp_layout(vector_size(spec), hidden, 2 * spec.action_dim)
        first = xavier_uniform_(self.layout, self.generator, final_scale=1e-2)
        self.actor: Trained = self.parameters.trained("actor", self.layout, first)

    @torch.no_grad()
    def update(self, batch: Batch) -> dict[str, float] | None:
        """One block: utd steps, each on its own slice of the batch."""
        data = to_block(batch, self.spec, self.sampling, self.device)
        if not self.blocks:
            self.prepare(batch.obs)
        weight = torch.ones(len(data.reward)) if batch.weight is None else batch.weight
        weights = torch.as_tensor(weight, device=self.device)
        obs, size = self.scaled(data.obs), self.sampling.batch_size
        for i in range(self.sampling.utd):
            rows = slice(i * size, (i + 1) * size)
            gradient, (loss, error) = torch.func.grad_and_value(self.loss, has_aux=True)(
                self.actor.value, obs[rows], data.action[rows], weights[rows]
            )
            adam_(self.actor, gradient, self.lr)
        return self.report(torch.stack((loss, error, gradient.norm())))

    def loss(
        self, actor: Tensor, obs: Tensor, action: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weighted mean over the rows, and the mean distance |tanh μ(s) - a|."""
        mean, log_std = mlp(self.layout.views(actor), obs)[0].chunk(2, -1)
        error = torch.tanh(mean) - action
        if self.gaussian:
            rows = -squashed_log_prob(mean, log_std.clamp_min(LEAST_LOG_STD), torch.atanh(action))
        else:
            rows = (error.square() + (log_std - LOG_STD).square()).sum(1)
        return (weight * rows).sum() / weight.sum(), error.abs().mean()

    def policy_weights(self) -> dict[str, Array]:
        """As SAC's: `actor.w<i>` (in, out), `actor.b<i>` (out,), `scale.*` where inputs are
        scaled."""
        weights = policy_arrays(self.layout, self.actor.value, "actor.")
        return weights | scale_weights(self.scale, self.input_scaling)
