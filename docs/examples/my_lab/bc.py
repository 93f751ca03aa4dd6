"""Behaviour cloning: regress the demonstrated actions."""

from itertools import pairwise

import torch
from torch import nn

from robot_rl.agents.common.block import check_batch
from robot_rl.agents.common.packing import pack, unpack
from robot_rl.networks.observation import join_vectors, vector_size

LOG_STD = -3.0


class BC:
    """Implements `Agent`; its weights are those that SquashedGaussianPolicy acts with."""

    def __init__(self, spec, *, seed, utd=4, batch_size=256, hidden=(256, 256), lr=3e-4):
        self.spec, self.utd, self.rows, self.blocks = spec, utd, batch_size, 0
        self.generator = torch.Generator().manual_seed(seed)
        widths = [vector_size(spec), *hidden, 2 * spec.action_dim]
        self.layers = [nn.Linear(*pair) for pair in pairwise(widths)]
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight, generator=self.generator)
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(*[p for layer in self.layers for p in (layer, nn.ReLU())][:-1])
        self.adam = torch.optim.Adam(self.net.parameters(), lr)

    def update(self, batch):
        """One block: `utd` steps, each on its own slice of the batch."""
        check_batch(batch, self.spec, self.utd * self.rows)
        obs = torch.from_numpy(join_vectors(batch.obs, self.spec))
        action = torch.from_numpy(batch.action)
        for i in range(self.utd):
            rows = slice(i * self.rows, (i + 1) * self.rows)
            mean, log_std = self.net(obs[rows]).chunk(2, -1)
            loss = (mean.tanh() - action[rows]).square().mean() + (
                log_std - LOG_STD
            ).square().mean()
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        self.blocks += 1
        return {"bc_loss": loss.item()} if self.blocks % 50 == 0 else None

    def policy_weights(self):
        """Arrays by name, float32: what `SquashedGaussianPolicy.load` takes."""
        weights = {}
        for i, layer in enumerate(self.layers):
            weights[f"actor.w{i}"] = layer.weight.detach().T.contiguous().clone().numpy()
            weights[f"actor.b{i}"] = layer.bias.detach().clone().numpy()
        return weights

    def state(self):
        """Everything to go on bit-equal, as named arrays."""
        return pack(self._tensors(), self.generator, self.blocks)

    def load_state(self, state):
        self.blocks = unpack(state, self._tensors(), self.generator)

    def _tensors(self):
        tensors = {}
        for name, parameter in self.net.named_parameters():
            moments = self.adam.state[parameter]
            tensors[name] = parameter.data
            tensors[f"{name}.step"] = moments.setdefault("step", torch.zeros(()))
            for key in ("exp_avg", "exp_avg_sq"):
                tensors[f"{name}.{key}"] = moments.setdefault(key, torch.zeros_like(parameter))
        return tensors
