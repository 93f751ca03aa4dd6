"""A policy gradient by returns to go, in rounds (REINFORCE, Williams, 1992, mean baseline)."""

from __future__ import annotations

import torch
from torch import Tensor

from robot_rl.agents.common.base import ParameterAgent
from robot_rl.agents.common.block import to_block
from robot_rl.agents.common.optim import adam_
from robot_rl.agents.common.parameters import policy_arrays
from robot_rl.networks.flat import xavier_uniform_
from robot_rl.networks.gaussian import squashed_log_prob
from robot_rl.networks.mlp import mlp, mlp_layout
from robot_rl.networks.observation import vector_size
from robot_rl.sampling import Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch


class Reinforce(ParameterAgent):
    """Implements `Agent`."""

    metrics = ("loss", "return_to_go")

    def __init__(
        self, spec: EnvSpec, *, seed: int, utd: int = 1, batch_size: int = 64, hidden: int = 32
    ) -> None:
        sampling = Sampling(batch_size, utd, discount=0.95, return_to_go=True)
        super().__init__(spec, sampling, seed=seed)
        self.layout = mlp_layout(vector_size(spec), (hidden,), 2 * spec.action_dim)
        first = xavier_uniform_(self.layout, self.generator, final_scale=0.01)
        self.actor = self.parameters.trained("actor", self.layout, first)

    @torch.no_grad()
    def update(self, batch: Batch) -> dict[str, float] | None:
        data = to_block(batch, self.spec, self.sampling, self.device)
        assert batch.return_to_go is not None
        returns = torch.from_numpy(batch.return_to_go)
        gradient, loss = torch.func.grad_and_value(self.loss)(
            self.actor.value, data.obs, data.action, returns - returns.mean()
        )
        adam_(self.actor, gradient, 1e-2)
        return self.report(torch.stack((loss, returns.mean())))

    def loss(self, actor: Tensor, obs: Tensor, action: Tensor, gain: Tensor) -> Tensor:
        mean, log_std = mlp(self.layout.views(actor), obs)[0].chunk(2, -1)
        return -(gain * squashed_log_prob(mean, log_std, torch.atanh(action))).mean()

    def policy_weights(self) -> dict[str, Array]:
        return policy_arrays(self.layout, self.actor.value, "actor.")
