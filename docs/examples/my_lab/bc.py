"""Behaviour cloning: regress the demonstrated actions."""

import torch

from robot_rl.agents.common.base import ParameterAgent
from robot_rl.agents.common.block import to_block
from robot_rl.agents.common.optim import adam_
from robot_rl.agents.common.parameters import policy_arrays
from robot_rl.networks.flat import xavier_uniform_
from robot_rl.networks.mlp import mlp, mlp_layout
from robot_rl.networks.observation import vector_size
from robot_rl.sampling import Sampling, demos_and_online

LOG_STD = -3.0


class BC(ParameterAgent):
    """Implements `Agent`; its weights are those that SquashedGaussianPolicy acts with."""

    metrics = ("bc_loss",)

    def __init__(
        self, spec, *, seed, utd=4, batch_size=256, demo_ratio=1.0, hidden=(256,), lr=3e-4
    ):
        sampling = Sampling(batch_size, utd, demos_and_online(demo_ratio))
        super().__init__(spec, sampling, seed=seed)
        self.lr = lr
        self.layout = mlp_layout(vector_size(spec), hidden, 2 * spec.action_dim)
        first = xavier_uniform_(self.layout, self.generator)
        self.actor = self.parameters.trained("actor", self.layout, first)

    @torch.no_grad()
    def update(self, batch):
        """One block: `utd` steps of Adam, each on its own slice of the batch."""
        data = to_block(batch, self.spec, self.sampling, self.device)
        size = self.sampling.batch_size
        for obs, action in zip(data.obs.split(size), data.action.split(size), strict=True):
            gradient, loss = torch.func.grad_and_value(self.loss)(self.actor.value, obs, action)
            adam_(self.actor, gradient, self.lr)
        return self.report(loss[None])

    def loss(self, actor, obs, action):
        mean, log_std = mlp(self.layout.views(actor), obs)[0].chunk(2, -1)
        return (mean.tanh() - action).square().mean() + (log_std - LOG_STD).square().mean()

    def policy_weights(self):
        """Arrays by name, float32: what `SquashedGaussianPolicy.load` takes."""
        return policy_arrays(self.layout, self.actor.value, "actor.")
