"""SAC and RLPD for state observations, losses in paper order.

SAC: Haarnoja et al., 1812.05905. RLPD: Ball et al., 2302.02948 — SAC with a LayerNorm critic
ensemble, a random subset of targets, many critic updates a step, and batches of which half are
demonstrations (the replay mixes them, not this file).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from robot_rl.agents.block import Block, to_block
from robot_rl.agents.compiling import Compiler
from robot_rl.agents.optim import Trained, adam_
from robot_rl.agents.packing import pack, unpack
from robot_rl.errors import ConfigError, SpecError
from robot_rl.networks.flat import Layout, xavier_uniform_
from robot_rl.networks.gaussian import squashed_sample
from robot_rl.networks.mlp import mlp, mlp_layout
from robot_rl.networks.observation import vector_size
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch


class SAC:
    """Implements `Agent`; RLPD with LayerNorm, an ensemble and demonstrations in the batch."""

    def __init__(
        self,
        spec: EnvSpec,
        *,
        seed: int,
        device: str = "cpu",
        threads: int = 1,  # of torch's pool, for the whole process
        compile: bool = True,
        precision: Literal["float32", "bfloat16"] = "float32",  # of matrix products
        batch_size: int = 256,
        utd: int = 4,  # critic updates a block; one actor update
        critics: int = 2,  # RLPD: 10
        subset: int = 2,  # critics in the target's minimum, drawn at random each update
        hidden: Sequence[int] = (256, 256),
        layer_norm: bool = True,  # in the critics
        lr: float = 3e-4,
        tau: float = 0.005,  # Polyak rate of the target critics
        initial_temperature: float = 1e-2,
        target_entropy: float | None = None,  # None: -dim / 2
        entropy_backup: bool = False,  # -alpha log pi in the target
        normalize: bool = True,  # inputs by mean and deviation of the first block, then fixed
        metrics_every: int = 50,  # blocks
    ) -> None:
        if spec.image_keys:
            raise SpecError(f"{spec.name}: SAC takes no images: {', '.join(spec.image_keys)}")
        if not 1 <= subset <= critics:
            raise ConfigError(f"subset={subset}; valid: 1 … critics={critics}")
        if precision not in ("float32", "bfloat16"):
            raise ConfigError(f"precision={precision!r}; valid: float32, bfloat16")
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device={device!r}, but torch finds no CUDA device; valid: cpu")
        torch.set_num_threads(threads)
        self.spec, self.device = spec, torch.device(device)
        self.batch_size, self.utd, self.subset, self.critics = batch_size, utd, subset, critics
        self.lr, self.tau, self.entropy_backup = lr, tau, entropy_backup
        self.normalize, self.metrics_every = normalize, metrics_every
        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.dim, width = spec.action_dim, vector_size(spec)
        self.target_entropy = -self.dim / 2 if target_entropy is None else target_entropy

        self.critic_layout = mlp_layout(
            width + self.dim, hidden, 1, copies=critics, layer_norm=layer_norm
        )
        self.actor_layout = mlp_layout(width, hidden, 2 * self.dim)
        self.generator = torch.Generator().manual_seed(seed)
        self.critic = self._fresh(xavier_uniform_(self.critic_layout, self.generator))
        self.actor = self._fresh(xavier_uniform_(self.actor_layout, self.generator))
        self.log_temperature = self._fresh(torch.tensor([initial_temperature]).log())
        self.target = self.critic.value.clone()
        self.scale = torch.zeros(2, width, device=self.device)
        """Mean and standard deviation of the inputs; deviation 0 before the first block."""
        self.blocks = 0

        compiler = Compiler(enabled=compile, device=self.device)
        self._next_actions = compiler(self.next_actions)
        self._critic_update = compiler(self.critic_update)
        self._actor_update = compiler(self.actor_update)

    # -- one block -------------------------------------------------------------------------

    def update(self, batch: Batch) -> dict[str, float] | None:
        """utd critic updates on consecutive slices, then one actor and temperature update.

        Raises SpecError on a batch that is not utd * batch_size rows of the spec, and
        PoisonedDataError on NaN or infinity; the agent is unchanged then.
        """
        block = to_block(batch, self.spec, self.utd * self.batch_size, self.device)
        block = self._normalized(block)
        noise = self._normal(len(block.reward) + self.batch_size)
        members = self._members()
        rows = [slice(i * self.batch_size, (i + 1) * self.batch_size) for i in range(self.utd)]
        with torch.no_grad():
            temperature = self.log_temperature.value.exp()
            # The actor is fixed within the block, so all its next actions are drawn at once.
            next_action, bonus = self._next_actions(
                self.actor.value, temperature, block.next_obs, noise[: -self.batch_size]
            )
            x = torch.cat((block.obs, block.action), dim=1)
            next_x = torch.cat((block.next_obs, next_action), dim=1)
            for i, row in enumerate(rows):
                critic_metrics = self._critic_update(
                    *self.critic.tensors(),
                    self.target,
                    members[i],
                    x[row],
                    block.reward[row],
                    block.discount[row],
                    next_x[row],
                    bonus[row],
                )
            actor_metrics = self._actor_update(
                *self.actor.tensors(),
                *self.log_temperature.tensors(),
                self.critic.value,
                block.obs[rows[-1]],
                noise[-self.batch_size :],
            )
        self.blocks += 1
        if self.blocks % self.metrics_every:
            return None
        return _named(critic_metrics, CRITIC_METRICS) | _named(actor_metrics, ACTOR_METRICS)

    # -- losses ----------------------------------------------------------------------------

    def next_actions(
        self, actor: Tensor, temperature: Tensor, next_obs: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """a' ~ π(s') and the target's entropy bonus -α log π(a'|s'), 0 without backup."""
        outputs = mlp(self.actor_layout.views(actor), next_obs, self.dtype)[0]
        action, log_prob = squashed_sample(outputs, noise)
        bonus = -temperature * log_prob if self.entropy_backup else torch.zeros_like(log_prob)
        return action, bonus

    def critic_loss(self, critic: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Σ over critics of mean (Q(s, a) - y)²  (1812.05905, eq. 5); and the values (E, B)."""
        q = mlp(self.critic_layout.views(critic), x, self.dtype)[..., 0]
        return (q - y).square().mean(1).sum(), q

    def critic_update(
        self,
        critic: Tensor,
        mean: Tensor,
        square: Tensor,
        steps: Tensor,
        target: Tensor,
        members: Tensor,
        x: Tensor,
        reward: Tensor,
        discount: Tensor,
        next_x: Tensor,
        bonus: Tensor,
    ) -> Tensor:
        """y = r + γ m (min over a random subset of Q'(s', a') + bonus)  (2302.02948, alg. 1)."""
        parts = self.critic_layout.views(target)
        if self.subset < self.critics:
            parts = {name: part.index_select(0, members) for name, part in parts.items()}
        next_q = mlp(parts, next_x, self.dtype)[..., 0].amin(0)
        y = reward + discount * (next_q + bonus)
        gradient, (loss, q) = torch.func.grad_and_value(self.critic_loss, has_aux=True)(
            critic, x, y
        )
        adam_(Trained(critic, mean, square, steps), gradient, self.lr)
        target.lerp_(critic, self.tau)
        error = (q - y).abs().mean()
        return torch.stack((loss, q.mean(), y.mean(), error, gradient.norm()))

    def actor_loss(
        self, actor: Tensor, temperature: Tensor, critic: Tensor, obs: Tensor, noise: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """mean (α log π(a|s) - mean over all critics of Q(s, a))  (1812.05905, eq. 7)."""
        outputs = mlp(self.actor_layout.views(actor), obs, self.dtype)[0]
        action, log_prob = squashed_sample(outputs, noise)
        x = torch.cat((obs, action), dim=1)
        q = mlp(self.critic_layout.views(critic), x, self.dtype)[..., 0].mean(0)
        return (temperature * log_prob - q).mean(), (log_prob, action)

    def actor_update(
        self,
        actor: Tensor,
        mean: Tensor,
        square: Tensor,
        steps: Tensor,
        log_temperature: Tensor,
        t_mean: Tensor,
        t_square: Tensor,
        t_steps: Tensor,
        critic: Tensor,
        obs: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """One actor step, then α's: the gradient of α (H - H̄) (1812.05905, eq. 18)."""
        temperature = log_temperature.exp()[0]
        gradient, (loss, (log_prob, action)) = torch.func.grad_and_value(
            self.actor_loss, has_aux=True
        )(actor, temperature, critic, obs, noise)
        entropy = -log_prob.mean()
        adam_(Trained(actor, mean, square, steps), gradient, self.lr)
        # J(α) = α (H - H̄) in log α: dJ/dlog α = α (H - H̄).
        t_gradient = (temperature * (entropy - self.target_entropy)).reshape(1)
        adam_(Trained(log_temperature, t_mean, t_square, t_steps), t_gradient, self.lr)
        saturation = (action.abs() > 0.98).float().mean()
        return torch.stack((loss, entropy, temperature, saturation, gradient.norm()))

    # -- inputs and random numbers ---------------------------------------------------------

    def _normalized(self, block: Block) -> Block:
        if self.blocks == 0 and not bool(self.scale[1].any()):
            self.scale[1] = 1.0
            if self.normalize:
                self.scale[0] = block.obs.mean(0)
                self.scale[1] = block.obs.std(0).clamp_min(MIN_DEVIATION)
        mean, deviation = self.scale
        return Block(
            (block.obs - mean) / deviation,
            block.action,
            block.reward,
            (block.next_obs - mean) / deviation,
            block.discount,
        )

    def _normal(self, rows: int) -> Tensor:
        noise = torch.randn(rows, self.dim, generator=self.generator)
        return noise.to(self.device)

    def _members(self) -> Tensor:
        """(utd, subset) indices of distinct critics, drawn for each critic update."""
        draws = torch.rand(self.utd, self.critics, generator=self.generator)
        return draws.argsort(1)[:, : self.subset].to(self.device)

    def _fresh(self, value: Tensor) -> Trained:
        return Trained.fresh(value.to(self.device))

    # -- weights and state -----------------------------------------------------------------

    def policy_weights(self) -> dict[str, Array]:
        """`actor.w<i>` (in, out), `actor.b<i>` (out,): float32, input normalisation folded in."""
        views = self.actor_layout.views(self.actor.value.detach().cpu().clone())
        weights = {f"actor.{name}": view[0] for name, view in views.items()}
        mean, deviation = self.scale.cpu()
        if bool(deviation.any()):
            folded = weights["actor.w0"] / deviation[:, None]
            weights["actor.b0"] = weights["actor.b0"] - mean @ folded
            weights["actor.w0"] = folded
        return {
            name: (weight[0] if name[6] == "b" else weight).contiguous().numpy()
            for name, weight in weights.items()
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name: views, so that writing them sets the agent."""
        tensors: dict[str, Tensor] = {"scale": self.scale}
        groups = (
            ("critic", self.critic, self.critic_layout),
            ("actor", self.actor, self.actor_layout),
            ("log_temperature", self.log_temperature, Layout({"value": (1,)})),
        )
        for group, trained, layout in groups:
            tensors[f"{group}.steps"] = trained.steps
            for part, flat in (
                ("", trained.value),
                ("mean.", trained.mean),
                ("square.", trained.square),
            ):
                for name, view in layout.views(flat).items():
                    tensors[f"{group}.{part}{name}"] = view
        for name, view in self.critic_layout.views(self.target).items():
            tensors[f"target.{name}"] = view
        return tensors

    def state(self) -> dict[str, Array]:
        """Everything to go on bit-equal (see `Agent.state`)."""
        return pack(self._tensors(), self.generator, self.blocks)

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Raises CheckpointError naming the first array that does not fit; unchanged then."""
        self.blocks = unpack(state, self._tensors(), self.generator)


CRITIC_METRICS = ("critic_loss", "q_mean", "target_q", "td_error", "critic_grad_norm")
ACTOR_METRICS = ("actor_loss", "entropy", "temperature", "action_saturation", "actor_grad_norm")
MIN_DEVIATION = 1e-2
"""Least standard deviation an input is divided by: constant inputs stay of order one."""


def _named(values: Tensor, names: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
