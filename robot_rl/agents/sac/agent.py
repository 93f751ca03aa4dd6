"""SAC and RLPD for state observations; the losses are in `losses.py`.

SAC: Haarnoja et al., 1812.05905. RLPD: Ball et al., 2302.02948 — SAC with LayerNorm critics, a
random subset of targets, many critic updates a step, and half of each batch from demonstrations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from robot_rl.agents.common.block import input_scale, to_block
from robot_rl.agents.common.compiling import Step, compiled
from robot_rl.agents.common.graphed import Graphed
from robot_rl.agents.common.metrics import METRICS
from robot_rl.agents.common.optim import Trained
from robot_rl.agents.common.options import check_options, check_spec
from robot_rl.agents.common.packing import pack, policy_arrays, unpack
from robot_rl.agents.common.tuning import tune_process
from robot_rl.agents.sac.gripper import GripperHead
from robot_rl.agents.sac.losses import Losses
from robot_rl.networks.flat import Layout, xavier_uniform_
from robot_rl.networks.mlp import mlp_layout
from robot_rl.networks.observation import vector_size
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch


class SAC:
    """Implements `Agent`; RLPD with LayerNorm, an ensemble and demonstrations in the batch."""

    input_slopes = False
    """Whether `critic_step` also gives the loss's gradient by its observations (rows, width)."""

    def __init__(
        self,
        spec: EnvSpec,
        *,
        seed: int,
        device: str = "cpu",
        compile: bool = True,  # on a CPU; a CUDA device captures the block as a graph
        threads: int = 1,  # of torch's pool, for the whole process
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
        policy_tau: float = 1.0,  # rate of the actor's running mean that acts; 1: the actor itself
        bc_weight: float = 0.0,  # behaviour cloning of demonstrations in the actor's loss
        bc_half_life: float | None = None,  # actor updates until it is half as strong; None: stays
        final_scale: float = 1e-2,  # of the last layers' initial weights: values start near 0
        discrete_gripper: bool = False,  # the last action dimension by a head of its own
        normalize: bool = False,  # inputs by mean and deviation of the first block, then fixed
        metrics_every: int = 50,  # blocks
    ) -> None:
        check_spec(spec, images=False, discrete_gripper=discrete_gripper)
        check_options(
            device, precision, subset=subset, critics=critics, batch_size=batch_size, utd=utd,
            lr=lr, bc_half_life=bc_half_life,
        )  # fmt: skip
        tune_process(device, threads)
        self.spec, self.device = spec, torch.device(device)
        self.batch_size, self.utd, self.subset, self.critics = batch_size, utd, subset, critics
        self.lr, self.final_scale, self.policy_tau = lr, final_scale, policy_tau
        self.normalize, self.metrics_every, self.blocks = normalize, metrics_every, 0
        self.dim, width = spec.action_dim - int(discrete_gripper), vector_size(spec)
        self.generator = torch.Generator().manual_seed(seed)

        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.critic_layout = mlp_layout(
            width + self.dim, hidden, 1, copies=critics, layer_norm=layer_norm
        )
        self.actor_layout = mlp_layout(width, hidden, 2 * self.dim)
        self.losses = Losses(
            self.critic_layout, self.actor_layout, self.dim, critics, subset, self.dtype, lr, tau,
            entropy_backup=entropy_backup, bc_weight=bc_weight, bc_half_life=bc_half_life,
            target_entropy=-self.dim / 2 if target_entropy is None else target_entropy,
            input_slopes=self.input_slopes,
        )  # fmt: skip
        self.critic, self.actor = self._fresh(self.critic_layout), self._fresh(self.actor_layout)
        start = torch.full((1,), initial_temperature, device=self.device).log()
        self.log_temperature = Trained.fresh(start)
        self.target = self.critic.value.clone()
        self.policy = self.actor.value.clone()
        """Running mean of the actor: what acts and is evaluated; steadier than any one actor."""
        self.scale = torch.zeros(2, width, device=self.device)
        """Mean and standard deviation of the inputs; deviation 0 before the first block."""

        self.gripper: GripperHead | None = None
        if discrete_gripper:
            self.gripper = GripperHead(
                width, hidden, self.generator, device=self.device, dtype=self.dtype,
                layer_norm=layer_norm, final_scale=final_scale, lr=lr, tau=tau,
            )  # fmt: skip
        self._critic_step: Step = self.losses.critic_step
        self._actor_step: Step = self.losses.actor_step
        if compile and self.device.type == "cpu":
            self._compile(width)
        self._block = Graphed(self.block, lambda: list(self._tensors().values()))

    def _compile(self, width: int) -> None:
        row = torch.zeros(self.batch_size)
        obs, action = row[:, None].repeat(1, width), row[:, None].repeat(1, self.dim)
        inputs = self._critic_inputs(torch.arange(self.subset), obs, action, row, row, obs, action)
        self._critic_step = compiled(self.losses.critic_step, inputs)
        inputs = self._actor_inputs(obs, action, row, action)
        self._actor_step = compiled(self.losses.actor_step, inputs)
        if self.gripper:
            self.gripper.compile(obs, row)

    # -- one block -------------------------------------------------------------------------

    def update(self, batch: Batch) -> dict[str, float] | None:
        """utd critic updates on consecutive slices, then one actor and temperature update.

        Raises SpecError on a batch that is not utd * batch_size rows of the spec, and
        PoisonedDataError on NaN or infinity; the agent is unchanged then.
        """
        rows = self.utd * self.batch_size
        data = to_block(batch, self.spec, rows, self.device)
        if not bool(self.scale[1].any()):
            self.scale.copy_(input_scale(data.obs, normalize=self.normalize))
        rows_of = (data.obs, data.action, data.reward, data.discount, data.next_obs, data.demo)
        return self._report(self._block(*rows_of, *self._draw()))

    def _draw(self) -> tuple[Tensor, Tensor]:
        """Noise ((utd + 1) * batch_size, dim), and the targets' members (utd, subset)."""
        rows = (self.utd + 1) * self.batch_size
        noise = torch.randn(rows, self.dim, generator=self.generator)
        draws = torch.rand(self.utd, self.critics, generator=self.generator)
        members = draws.argsort(1)[:, : self.subset]
        return noise.to(self.device), members.to(self.device)

    def _report(self, metrics: Tensor) -> dict[str, float] | None:
        self.blocks += 1
        if self.blocks % self.metrics_every:
            return None
        return dict(zip(METRICS, metrics.tolist(), strict=True))

    @torch.no_grad()
    def block(
        self, obs: Tensor, action: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor,
        demo: Tensor, noise: Tensor, members: Tensor,
    ) -> Tensor:  # fmt: skip
        """The whole block on the device, without a synchronisation; gives the METRICS."""
        mean, deviation = self.scale
        obs, next_obs = (obs - mean) / deviation, (next_obs - mean) / deviation
        for i in range(self.utd):
            rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
            critic_metrics, *_ = self._update_critics(
                members[i], obs[rows], action[rows], reward[rows], discount[rows], next_obs[rows],
                noise[rows],
            )  # fmt: skip
        actor_metrics = self._update_actor(obs[rows], action[rows], demo[rows], noise)
        return torch.cat((critic_metrics, actor_metrics))

    def _update_critics(
        self, members: Tensor, obs: Tensor, action: Tensor, reward: Tensor, discount: Tensor,
        next_obs: Tensor, noise: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """One step of every critic; metrics and, with `input_slopes`, d loss / d obs."""
        moving = action[:, : self.dim].contiguous()
        metrics, *slopes = self._critic_step(
            *self._critic_inputs(members, obs, moving, reward, discount, next_obs, noise)
        )
        if self.gripper:
            slopes.append(self.gripper.update(obs, action[:, -1], reward, discount, next_obs))
        return (metrics, sum(slopes[1:], slopes[0])) if self.input_slopes else (metrics,)

    def _update_actor(self, obs: Tensor, action: Tensor, demo: Tensor, noise: Tensor) -> Tensor:
        moving = action[:, : self.dim].contiguous()
        (metrics,) = self._actor_step(
            *self._actor_inputs(obs, moving, demo, noise[-self.batch_size :])
        )
        self.policy.lerp_(self.actor.value, self.policy_tau)
        return metrics

    def _critic_inputs(self, *rows: Tensor) -> tuple[Tensor, ...]:
        flat = (self.actor.value, self.log_temperature.value, self.target)
        return (*self.critic.tensors, *flat, *rows)

    def _actor_inputs(self, *rows: Tensor) -> tuple[Tensor, ...]:
        return (*self.actor.tensors, *self.log_temperature.tensors, self.critic.value, *rows)

    # -- weights and state -----------------------------------------------------------------

    def policy_weights(self) -> dict[str, Array]:
        """`actor.w<i>` (in, out), `actor.b<i>` (out,): float32, input normalisation folded in."""
        weights = policy_arrays(self.actor_layout, self.policy, "actor.", self.scale)
        return weights | (self.gripper.weights(self.scale) if self.gripper else {})

    def state(self) -> dict[str, Array]:
        """Everything to go on bit-equal (see `Agent.state`)."""
        return pack(self._tensors(), self.generator, self.blocks)

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Raises CheckpointError naming the first array that does not fit; unchanged then."""
        self.blocks = unpack(state, self._tensors(), self.generator)

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name: views, so that writing them sets the agent."""
        return (
            {"scale": self.scale}
            | (self.gripper.tensors() if self.gripper else {})
            | self.critic.views("critic", self.critic_layout)
            | self.critic_layout.views(self.target, "target.")
            | self.actor.views("actor", self.actor_layout)
            | self.actor_layout.views(self.policy, "policy.")
            | self.log_temperature.views("log_temperature", Layout({"value": (1,)}))
        )

    def _fresh(self, layout: Layout) -> Trained:
        value = xavier_uniform_(layout, self.generator, final_scale=self.final_scale)
        return Trained.fresh(value.to(self.device))
