"""A critic over the next four actions (Q-chunking, Li et al., 2507.07969, eq. 4), deterministic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robot_rl.agents.common.base import ParameterAgent
from robot_rl.agents.common.block import ACTION_LIMIT, check_batch
from robot_rl.agents.common.optim import adam_
from robot_rl.agents.common.parameters import policy_arrays
from robot_rl.networks.flat import xavier_uniform_
from robot_rl.networks.mlp import mlp, mlp_layout
from robot_rl.networks.observation import join_vectors, vector_size
from robot_rl.networks.policy_mlp import check_weights
from robot_rl.sampling import PoolShare, Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch, Observation, Plan

HORIZON = 4


class ChunkCritic(ParameterAgent):
    """Implements `Agent`."""

    metrics = ("critic_loss", "actor_loss")

    def __init__(
        self, spec: EnvSpec, *, seed: int, utd: int = 2, batch_size: int = 32, hidden: int = 32
    ) -> None:
        pools = (PoolShare("success", 0.25), PoolShare("online", 0.75))
        sampling = Sampling(batch_size, utd, pools, horizon=HORIZON, discount=0.97)
        super().__init__(spec, sampling, seed=seed)
        width, self.dim = vector_size(spec), HORIZON * spec.action_dim
        self.critic_layout = mlp_layout(width + self.dim, (hidden,), 1, copies=2, layer_norm=True)
        self.actor_layout = mlp_layout(width, (hidden,), self.dim)
        first = xavier_uniform_(self.critic_layout, self.generator)
        self.critic = self.parameters.trained("critic", self.critic_layout, first, copies=True)
        self.target = self.parameters.plain(
            "target", self.critic_layout, first.clone(), follows="critic"
        )
        first = xavier_uniform_(self.actor_layout, self.generator)
        self.actor = self.parameters.trained("actor", self.actor_layout, first)

    @torch.no_grad()
    def update(self, batch: Batch) -> dict[str, float] | None:
        check_batch(batch, self.spec, self.sampling)
        assert batch.valid is not None
        chunks = np.clip(batch.action, -ACTION_LIMIT, ACTION_LIMIT).reshape(len(batch.action), -1)
        arrays = (join_vectors(batch.obs, self.spec), chunks, batch.reward,
                  join_vectors(batch.next_obs, self.spec), batch.discount * batch.mask,
                  batch.valid.all(1))  # fmt: skip
        tensors = [torch.from_numpy(np.asarray(array, np.float32)) for array in arrays]
        for part in zip(*(t.chunk(self.sampling.utd) for t in tensors), strict=True):
            obs, action, reward, next_obs, discount, valid = part
            after = self.act(self.actor.value, next_obs)
            y = reward + discount * self.q(self.target, next_obs, after).amin(0)
            gradient, loss = torch.func.grad_and_value(self.critic_loss)(
                self.critic.value, obs, action, y, valid
            )
            adam_(self.critic, gradient, 1e-3)
            self.target.lerp_(self.critic.value, 0.01)
        gradient, actor_loss = torch.func.grad_and_value(self.actor_loss)(self.actor.value, obs)
        adam_(self.actor, gradient, 1e-3)
        return self.report(torch.stack((loss, actor_loss)))

    def critic_loss(self, q: Tensor, obs: Tensor, action: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Chunks that were cut are left out."""
        return (w * (self.q(q, obs, action) - y).square()).sum() / w.sum().clamp_min(1.0)

    def actor_loss(self, actor: Tensor, obs: Tensor) -> Tensor:
        return -self.q(self.critic.value, obs, self.act(actor, obs)).mean()

    def q(self, flat: Tensor, obs: Tensor, action: Tensor) -> Tensor:
        return mlp(self.critic_layout.views(flat), torch.cat((obs, action), 1))[..., 0]

    def act(self, flat: Tensor, obs: Tensor) -> Tensor:
        return torch.tanh(mlp(self.actor_layout.views(flat), obs)[0])

    def policy_weights(self) -> dict[str, Array]:
        return policy_arrays(self.actor_layout, self.actor.value, "actor.")


class ChunkPolicy:
    """Implements `Policy`: plans of four."""

    def __init__(self, spec: EnvSpec, *, seed: int = 0, hidden: int = 32) -> None:
        self._spec, self._shape, self.version = spec, (HORIZON, spec.action_dim), 0
        self._rng, self._weights = np.random.default_rng(seed), dict[str, Array]()
        widths = [vector_size(spec), hidden, HORIZON * spec.action_dim]
        self._shapes: dict[str, tuple[int, ...]] = {}
        for i in range(2):
            self._shapes |= {f"actor.w{i}": (widths[i], widths[i + 1])}
            self._shapes |= {f"actor.b{i}": (widths[i + 1],)}

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        check_weights(weights, self._shapes, version, self.version)
        self._weights, self.version = {k: v.copy() for k, v in weights.items()}, version

    def reset(self, seed: int | None = None) -> None:
        if seed is not None:
            self._rng = np.random.default_rng(seed)

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        noise = self._rng.uniform(-1.0, 1.0, self._shape)
        actions: Any = noise
        if self.version:
            x = join_vectors({name: array[None] for name, array in obs.items()}, self._spec)
            w = self._weights
            h = np.maximum(x @ w["actor.w0"] + w["actor.b0"], 0.0)
            actions = np.tanh(h @ w["actor.w1"] + w["actor.b1"]).reshape(self._shape)
            actions = actions if deterministic else np.clip(actions + 0.1 * noise, -1.0, 1.0)
        valid = np.ones(HORIZON, bool)
        return Plan(actions.astype(np.float32), valid, step, stamp_ns, self.version)
