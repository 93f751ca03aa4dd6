"""SAC and RLPD for state observations; the losses are in `losses.py`.

SAC: Haarnoja et al., 1812.05905. RLPD: Ball et al., 2302.02948 — SAC with LayerNorm critics, a
random subset of targets, many critic updates a step, and half of each batch from demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robot_rl.agents.common.base import ParameterAgent
from robot_rl.agents.common.block import to_block
from robot_rl.agents.common.compiling import Step, compiled
from robot_rl.agents.common.graphed import Graphed
from robot_rl.agents.common.options import check_options, check_spec
from robot_rl.agents.common.parameters import policy_arrays
from robot_rl.agents.common.precision import Precision, chosen_precision
from robot_rl.agents.common.scaling import FLOOR, scale_weights
from robot_rl.agents.sac.gripper import GripperHead
from robot_rl.agents.sac.losses import Losses
from robot_rl.networks.flat import Layout, xavier_uniform_
from robot_rl.networks.grippers import gripper_dims
from robot_rl.networks.mlp import mlp_layout
from robot_rl.networks.observation import vector_size
from robot_rl.networks.scaling import InputScaling
from robot_rl.sampling import Sampling, demos_and_online
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Batch

METRICS = (
    "critic_loss", "q_mean", "target_q", "td_error", "critic_grad_norm",
    "actor_loss", "entropy", "temperature", "action_saturation", "actor_grad_norm",
)  # fmt: skip
"""What SAC reports of a block, in order."""


class SAC(ParameterAgent):
    """Implements `Agent`; RLPD with LayerNorm, an ensemble and demonstrations in the batch."""

    metrics = METRICS
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
        precision: Precision = "float32",  # of matrix products; auto: by the CPU's flags
        batch_size: int = 256,
        utd: int = 4,  # critic updates a block; one actor update
        demo_ratio: float = 0.0,  # share of each batch from demonstrations
        proposed_ratio: float = 0.5,  # of online rows, with the proposed action
        discount: float = 0.97,
        n_step: int = 1,
        reward_scale: float | None = 1.0,  # None: from the demonstrations
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
        discrete_gripper: bool = False,  # gripper dimensions by heads of their own
        input_scaling: InputScaling = "none",  # from datasets, else from the warm-up; then fixed
        input_floor: float = FLOOR,
        metrics_every: int = 50,  # blocks
    ) -> None:
        check_spec(spec, images=False)
        check_options(
            device, precision, subset=subset, critics=critics, lr=lr, bc_half_life=bc_half_life
        )
        sampling = Sampling(
            batch_size, utd, demos_and_online(demo_ratio), n_step=n_step, discount=discount,
            proposed_ratio=proposed_ratio, reward_scale=reward_scale,
        )  # fmt: skip
        super().__init__(
            spec, sampling, seed=seed, device=device, threads=threads, metrics_every=metrics_every,
            input_scaling=input_scaling, input_floor=input_floor,
        )  # fmt: skip
        self.batch_size, self.utd, self.subset, self.critics = batch_size, utd, subset, critics
        self.lr, self.final_scale, self.policy_tau = lr, final_scale, policy_tau
        grippers = gripper_dims(spec) if discrete_gripper else ()
        self.grips = torch.tensor(grippers, dtype=torch.long, device=self.device)
        self.moves = torch.tensor(
            [i for i in range(spec.action_dim) if i not in grippers], device=self.device
        )
        self.dim, width = len(self.moves), vector_size(spec)

        self.precision = chosen_precision(precision, device)
        self.dtype = torch.float32 if self.precision == "float32" else torch.bfloat16
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
        arrays = self.parameters
        first = self._drawn(self.critic_layout)
        self.critic = arrays.trained("critic", self.critic_layout, first, copies=True)
        self.target = arrays.plain("target", self.critic_layout, first.clone(), follows="critic")
        first = self._drawn(self.actor_layout)
        self.actor = arrays.trained("actor", self.actor_layout, first)
        self.policy = arrays.plain("policy", self.actor_layout, first.clone(), follows="actor")
        """Running mean of the actor: what acts and is evaluated; steadier than any one actor."""
        start = torch.full((1,), initial_temperature).log()
        self.log_temperature = arrays.trained("log_temperature", Layout({"value": (1,)}), start)
        self.gripper: GripperHead | None = None
        if discrete_gripper:
            self.gripper = GripperHead(
                width, hidden, arrays, grippers=len(grippers), dtype=self.dtype,
                layer_norm=layer_norm, final_scale=final_scale, lr=lr, tau=tau,
            )  # fmt: skip
        self._critic_step: Step = self.losses.critic_step
        self._actor_step: Step = self.losses.actor_step
        if compile and self.device.type == "cpu":
            self._compile(width)
        self._block = Graphed(self.block, lambda: arrays.tensors)

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
        data = to_block(batch, self.spec, self.sampling, self.device)
        if not self.blocks:
            self.prepare(batch.obs)
        rows_of = (data.obs, data.action, data.reward, data.discount, data.next_obs, data.demo)
        return self.report(self._block(*rows_of, *self._draw()))

    def _draw(self) -> tuple[Tensor, Tensor]:
        """Noise ((utd + 1) * batch_size, dim), and the targets' members (utd, subset)."""
        rows = (self.utd + 1) * self.batch_size
        noise = torch.randn(rows, self.dim, generator=self.generator)
        draws = torch.rand(self.utd, self.critics, generator=self.generator)
        members = draws.argsort(1)[:, : self.subset]
        return noise.to(self.device), members.to(self.device)

    @torch.no_grad()
    def block(
        self, obs: Tensor, action: Tensor, reward: Tensor, discount: Tensor, next_obs: Tensor,
        demo: Tensor, noise: Tensor, members: Tensor,
    ) -> Tensor:  # fmt: skip
        """The whole block on the device, without a synchronisation; gives the METRICS."""
        obs, next_obs = self.scaled(obs), self.scaled(next_obs)
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
        moving = self._moving(action)
        metrics, *slopes = self._critic_step(
            *self._critic_inputs(members, obs, moving, reward, discount, next_obs, noise)
        )
        if self.gripper:
            commands = action.index_select(1, self.grips)
            slopes.append(self.gripper.update(obs, commands, reward, discount, next_obs))
        return (metrics, sum(slopes[1:], slopes[0])) if self.input_slopes else (metrics,)

    def _update_actor(self, obs: Tensor, action: Tensor, demo: Tensor, noise: Tensor) -> Tensor:
        moving = self._moving(action)
        (metrics,) = self._actor_step(
            *self._actor_inputs(obs, moving, demo, noise[-self.batch_size :])
        )
        self.policy.lerp_(self.actor.value, self.policy_tau)
        return metrics

    def _moving(self, action: Tensor) -> Tensor:
        """The dimensions that are no discrete grippers."""
        return action.index_select(1, self.moves) if self.gripper else action

    def _critic_inputs(self, *rows: Tensor) -> tuple[Tensor, ...]:
        flat = (self.actor.value, self.log_temperature.value, self.target)
        return (*self.critic.tensors, *flat, *rows)

    def _actor_inputs(self, *rows: Tensor) -> tuple[Tensor, ...]:
        return (*self.actor.tensors, *self.log_temperature.tensors, self.critic.value, *rows)

    # -- weights and state -----------------------------------------------------------------

    def policy_weights(self) -> dict[str, Array]:
        """`actor.w<i>` (in, out), `actor.b<i>` (out,): float32; `scale.*` where inputs are scaled,
        and `gripper.*` where there are such heads."""
        weights = policy_arrays(self.actor_layout, self.policy, "actor.")
        weights |= scale_weights(self.scale, self.input_scaling)
        return weights | (self.gripper.weights() if self.gripper else {})

    def _drawn(self, layout: Layout) -> Tensor:
        return xavier_uniform_(layout, self.generator, final_scale=self.final_scale)
