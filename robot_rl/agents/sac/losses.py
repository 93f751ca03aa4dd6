"""The losses of SAC and RLPD and one optimiser step down each, as functions of flat parameters.

SAC: Haarnoja et al., 1812.05905. RLPD: Ball et al., 2302.02948.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_rl.agents.common.optim import Trained, adam_
from robot_rl.networks.flat import Layout
from robot_rl.networks.gaussian import squashed_sample
from robot_rl.networks.mlp import mlp


@dataclass(frozen=True, slots=True)
class Losses:
    """Sizes and coefficients; the steps update the tensors they are given in place."""

    critic_layout: Layout
    actor_layout: Layout
    dim: int
    """Of the continuous action."""
    critics: int
    subset: int
    """Critics in the target's minimum."""
    dtype: torch.dtype
    """Of matrix products."""
    lr: float
    tau: float
    """Polyak rate of the target critics."""
    entropy_backup: bool
    target_entropy: float
    bc_weight: float
    bc_half_life: float | None
    input_slopes: bool = False
    """Whether `critic_step` also gives the loss's gradient by its observations (rows, width)."""

    def critic_step(
        self,
        critic: Tensor, mean: Tensor, square: Tensor, steps: Tensor,
        actor: Tensor, log_temperature: Tensor, target: Tensor, members: Tensor,
        obs: Tensor, action: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """One step of Adam on the critics, then Polyak on their targets.

        y = r + γ m (min over a random subset of Q'(s', a') - α log π(a'|s')), a' ~ π(s')
        (2302.02948, algorithm 1; the entropy term only with `entropy_backup`).
        """
        next_action, log_prob = self.sample(actor, next_obs, noise)
        parts = self.critic_layout.views(target)
        if self.subset < self.critics:
            parts = {name: part.index_select(0, members) for name, part in parts.items()}
        next_x = torch.cat((next_obs, next_action), dim=1)
        value = mlp(parts, next_x, self.dtype)[..., 0].amin(0)
        if self.entropy_backup:
            value = value - log_temperature.exp() * log_prob
        y = reward + discount * value

        (gradient, slope), (loss, q) = torch.func.grad_and_value(
            self.critic_loss, argnums=(0, 1), has_aux=True
        )(critic, torch.cat((obs, action), dim=1), y)
        adam_(Trained(critic, mean, square, steps), gradient, self.lr)
        target.lerp_(critic, self.tau)
        error = (q - y).abs().mean()
        metrics = torch.stack((loss, q.mean(), y.mean(), error, gradient.norm()))
        return (metrics, slope[:, : obs.shape[1]]) if self.input_slopes else (metrics,)

    def critic_loss(self, critic: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Σ over critics of mean (Q(s, a) - y)² (1812.05905, eq. 5); and Q (critics, rows)."""
        q = mlp(self.critic_layout.views(critic), x, self.dtype)[..., 0]
        return (q - y).square().mean(1).sum(), q

    def actor_step(
        self,
        actor: Tensor, mean: Tensor, square: Tensor, steps: Tensor,
        log_temperature: Tensor, t_mean: Tensor, t_square: Tensor, t_steps: Tensor,
        critic: Tensor, obs: Tensor, action: Tensor, demo: Tensor, noise: Tensor,
    ) -> tuple[Tensor]:  # fmt: skip
        """One step of Adam on the actor, and one on log α down J(α) = α (H - H̄) (eq. 18)."""
        temperature = log_temperature.exp()
        gradient, (loss, (log_prob, chosen)) = torch.func.grad_and_value(
            self.actor_loss, has_aux=True
        )(actor, temperature, self.cloning(steps), critic, obs, action, demo, noise)
        adam_(Trained(actor, mean, square, steps), gradient, self.lr)
        entropy = -log_prob.mean()
        slope = temperature * (entropy - self.target_entropy)  # dJ / d log α
        adam_(Trained(log_temperature, t_mean, t_square, t_steps), slope, self.lr)
        saturation = (chosen.abs() > 0.98).float().mean()
        return (torch.stack((loss, entropy, temperature[0], saturation, gradient.norm())),)

    def cloning(self, steps: Tensor) -> Tensor:
        """λ after so many actor updates: `bc_weight`, halved every `bc_half_life` of them."""
        return self.bc_weight * torch.exp2(-steps / (self.bc_half_life or math.inf))

    def actor_loss(
        self, actor: Tensor, temperature: Tensor, cloning: Tensor, critic: Tensor, obs: Tensor,
        action: Tensor, demo: Tensor, noise: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # fmt: skip
        """mean (α log π(a|s) - mean over all critics of Q(s, a)) (1812.05905, eq. 7).

        With `bc_weight` also λ · mean over demonstrations of |tanh μ(s) - a|² (Nair et al.,
        1709.10089, eq. 4, without the filter), λ fading as in DAPG (1709.10087, eq. 4).
        """
        outputs = mlp(self.actor_layout.views(actor), obs, self.dtype)[0]
        chosen, log_prob = squashed_sample(outputs, noise)
        x = torch.cat((obs, chosen), dim=1)
        q = mlp(self.critic_layout.views(critic), x, self.dtype)[..., 0].mean(0)
        loss = (temperature * log_prob - q).mean()
        if self.bc_weight > 0.0:
            error = (torch.tanh(outputs[:, : self.dim]) - action).square().sum(1)
            loss = loss + cloning * (demo * error).sum() / demo.sum().clamp_min(1.0)
        return loss, (log_prob, chosen)

    def sample(self, actor: Tensor, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """a ~ π(s) (rows, dim) and log π(a|s) (rows,)."""
        return squashed_sample(mlp(self.actor_layout.views(actor), obs, self.dtype)[0], noise)
