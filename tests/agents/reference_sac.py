"""SAC/RLPD written again, plainly: torch.nn modules, one critic at a time, torch.optim.Adam.

Shares no code with the agent; takes its initial weights and its random numbers.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal


def build(arrays: Mapping[str, np.ndarray], prefix: str, copy: int, layer_norm: bool) -> nn.Module:
    """One MLP from the arrays `<prefix><kind><layer>` (copies, ...)."""
    modules: list[nn.Module] = []
    layers = sum(f"{prefix}w{i}" in arrays for i in range(9))
    for i in range(layers):
        weight = torch.tensor(arrays[f"{prefix}w{i}"][copy])
        dense = nn.Linear(weight.shape[0], weight.shape[1])
        dense.weight.data = weight.T.clone()
        dense.bias.data = torch.tensor(arrays[f"{prefix}b{i}"][copy, 0])
        modules.append(dense)
        if i < layers - 1:
            if layer_norm:
                modules.append(nn.LayerNorm(weight.shape[1]))
            modules.append(nn.ReLU())
    return nn.Sequential(*modules)


class ReferenceSAC:
    """One update block, float32, eager."""

    def __init__(self, state: Mapping[str, np.ndarray], *, critics: int, dim: int) -> None:
        self.q = [build(state, "critic.", i, True) for i in range(critics)]
        self.q_target = [build(state, "target.", i, True) for i in range(critics)]
        self.pi = build(state, "actor.", 0, False)
        self.log_alpha = torch.tensor(state["log_temperature.value"], requires_grad=True)
        self.dim = dim
        parameters = [p for q in self.q for p in q.parameters()]
        self.q_adam = torch.optim.Adam(parameters, lr=3e-4)
        self.pi_adam = torch.optim.Adam(self.pi.parameters(), lr=3e-4)
        self.alpha_adam = torch.optim.Adam([self.log_alpha], lr=3e-4)

    def sample(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.pi(obs).chunk(2, -1)
        normal = Normal(mean, log_std.clamp(-20, 2).exp())
        u = mean + normal.scale * noise
        action = torch.tanh(u)
        log_prob = normal.log_prob(u).double() - torch.log1p(-torch.tanh(u.double()).square())
        return action, log_prob.sum(-1).float()

    def critic(
        self, rows: Mapping[str, Tensor], noise: Tensor, members: Tensor, backup: bool
    ) -> float:
        with torch.no_grad():
            action, log_prob = self.sample(rows["next_obs"], noise)
            x = torch.cat((rows["next_obs"], action), -1)
            value = torch.stack([self.q_target[int(m)](x)[:, 0] for m in members]).min(0).values
            if backup:
                value -= self.log_alpha.exp() * log_prob
            y = rows["reward"] + rows["discount"] * rows["mask"] * value
        x = torch.cat((rows["obs"], rows["action"].clamp(-1 + 1e-5, 1 - 1e-5)), -1)
        loss = sum(((q(x)[:, 0] - y) ** 2).mean() for q in self.q)
        self.q_adam.zero_grad()
        loss.backward()
        self.q_adam.step()
        with torch.no_grad():
            for q, target in zip(self.q, self.q_target, strict=True):
                for p, t in zip(q.parameters(), target.parameters(), strict=True):
                    t.copy_(0.995 * t + 0.005 * p)
        return float(loss.detach())

    def actor(self, rows: Mapping[str, Tensor], noise: Tensor, bc_weight: float = 0.0) -> float:
        obs, taken = rows["obs"], rows["action"].clamp(-1 + 1e-5, 1 - 1e-5)
        action, log_prob = self.sample(obs, noise)
        x = torch.cat((obs, action), -1)
        q = torch.stack([critic(x)[:, 0] for critic in self.q]).mean(0)
        loss = (self.log_alpha.exp().detach() * log_prob - q).mean()
        shown = rows["demo"] > 0
        if bc_weight and shown.any():
            mean = torch.tanh(self.pi(obs[shown]).chunk(2, -1)[0])
            loss = loss + bc_weight * ((mean - taken[shown]) ** 2).sum(1).mean()
        self.pi_adam.zero_grad()
        loss.backward()
        self.pi_adam.step()
        entropy = -log_prob.detach().mean()
        alpha_loss = (self.log_alpha.exp() * (entropy + self.dim / 2)).sum()
        self.alpha_adam.zero_grad()
        alpha_loss.backward()
        self.alpha_adam.step()
        return float(loss.detach())
