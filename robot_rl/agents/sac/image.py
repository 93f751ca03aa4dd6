"""SAC and RLPD from images: SAC on features of a convolutional encoder.

As in DrQ (2004.13649) and RLPD from pixels: the critics' loss alone trains the encoder, the actor
sees its features as constants, images are shifted at random by up to 4 pixels. Each observation is
encoded once an update: the features of `obs` serve critics and actor, those of `next_obs` the next
action and the targets (no target encoder, as in DrQ-v2, 2107.09645).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from robot_rl.agents.common.block import ACTION_LIMIT, check_batch, to_device
from robot_rl.agents.common.optim import adam_
from robot_rl.agents.common.options import check_spec
from robot_rl.agents.common.precision import Precision
from robot_rl.agents.sac.agent import SAC
from robot_rl.errors import ConfigError
from robot_rl.networks.encoder import encode, encoder_layout, fresh_encoder
from robot_rl.networks.observation import join_vectors
from robot_rl.networks.scaling import InputScaling
from robot_rl.networks.shift import PAD, shift_images
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, Batch, Observation


class ImageSAC(SAC):
    """Implements `Agent` for observations with images; options as SAC's."""

    input_slopes = True

    def __init__(
        self,
        spec: EnvSpec,
        *,
        seed: int,
        device: str = "cpu",
        compile: bool = True,
        threads: int = 1,
        precision: Precision = "float32",
        batch_size: int = 256,
        utd: int = 1,
        demo_ratio: float = 0.0,
        proposed_ratio: float = 0.5,
        discount: float = 0.97,
        n_step: int = 1,
        reward_scale: float | None = 1.0,
        critics: int = 2,
        subset: int = 2,
        hidden: Sequence[int] = (256, 256),
        layer_norm: bool = True,
        lr: float = 3e-4,
        tau: float = 0.005,
        initial_temperature: float = 1e-2,
        target_entropy: float | None = None,
        entropy_backup: bool = False,
        policy_tau: float = 1.0,
        bc_weight: float = 0.0,
        bc_half_life: float | None = None,
        final_scale: float = 1e-2,
        discrete_gripper: bool = False,
        input_scaling: InputScaling = "none",  # the only one there is with images
        features: int = 64,  # of each camera
        metrics_every: int = 50,
    ) -> None:
        check_spec(spec, images=True)
        if input_scaling != "none":
            raise ConfigError(f"input_scaling={input_scaling} with images; valid: none")
        cameras = [array for array in spec.observation if array.is_image]
        vectors = tuple(array for array in spec.observation if not array.is_image)
        seen = ArraySpec("features", (features * len(cameras),))
        super().__init__(
            replace(spec, observation=(*vectors, seen)),
            seed=seed, device=device, compile=compile, threads=threads, precision=precision,
            batch_size=batch_size, utd=utd, demo_ratio=demo_ratio, proposed_ratio=proposed_ratio,
            discount=discount, n_step=n_step, reward_scale=reward_scale, critics=critics,
            subset=subset, hidden=hidden,
            layer_norm=layer_norm, lr=lr, tau=tau, initial_temperature=initial_temperature,
            target_entropy=target_entropy, entropy_backup=entropy_backup, bc_weight=bc_weight,
            bc_half_life=bc_half_life, final_scale=final_scale, policy_tau=policy_tau,
            discrete_gripper=discrete_gripper, metrics_every=metrics_every,
        )  # fmt: skip
        self.image_spec, self.cameras = spec, [camera.name for camera in cameras]
        self.encoder_layout = encoder_layout(cameras, features)
        first = fresh_encoder(self.encoder_layout, self.generator)
        self.encoder = self.parameters.trained("encoder", self.encoder_layout, first)
        self.scale[1] = 1.0  # features are bounded, and no vectors are scaled

    def update(self, batch: Batch) -> dict[str, float] | None:
        """As SAC.update; images are uint8 (N, height, width, 3)."""
        check_batch(batch, self.image_spec, self.sampling)
        demo = np.zeros_like(batch.reward) if batch.demo is None else batch.demo
        action = np.clip(batch.action, -ACTION_LIMIT, ACTION_LIMIT)
        arrays = (self._vectors(batch.obs), action, batch.reward, batch.discount * batch.mask,
                  self._vectors(batch.next_obs), demo)  # fmt: skip
        images = [*self._shifted(batch.obs), *self._shifted(batch.next_obs)]
        tensors = [to_device(np.asarray(array, np.float32), self.device) for array in arrays]
        draws = self._draw()
        moved = [to_device(image, self.device) for image in images]
        return self.report(self._block(*tensors, *draws, *moved))

    @torch.no_grad()
    def block(self, *inputs: Tensor) -> Tensor:
        """The whole block on the device; gives SAC's METRICS."""
        vectors, action, reward, discount, next_vectors, demo, noise, members, *images = inputs
        count = len(self.cameras)
        for i in range(self.utd):
            rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
            parts = [image[rows] for image in images]
            encoder = self.encoder.value.detach().requires_grad_()
            with torch.enable_grad():
                seen = self._features(encoder, parts[:count])
            next_seen = self._features(encoder, parts[count:])
            obs = torch.cat((vectors[rows], seen.detach()), dim=1)
            next_obs = torch.cat((next_vectors[rows], next_seen), dim=1)
            critic_metrics, slope = self._update_critics(
                members[i], obs, action[rows], reward[rows], discount[rows], next_obs, noise[rows]
            )
            (gradient,) = torch.autograd.grad(seen, encoder, slope[:, -seen.shape[1] :])
            adam_(self.encoder, gradient, self.lr)
        actor_metrics = self._update_actor(obs, action[rows], demo[rows], noise)
        return torch.cat((critic_metrics, actor_metrics))

    def policy_weights(self) -> dict[str, Array]:
        """SAC's, and `encoder.<camera>.<array>`."""
        views = self.encoder_layout.views(self.encoder.value.detach().cpu().clone(), "encoder.")
        return super().policy_weights() | {name: view.numpy() for name, view in views.items()}

    def _features(self, encoder: Tensor, images: Sequence[Tensor]) -> Tensor:
        named = dict(zip(self.cameras, images, strict=True))
        return encode(self.encoder_layout.views(encoder), named, self.dtype)

    def _vectors(self, obs: Observation) -> Array:
        if self.image_spec.vector_keys:
            return join_vectors(obs, self.image_spec)
        return np.zeros((self.utd * self.batch_size, 0), np.float32)

    def _shifted(self, obs: Observation) -> list[Array]:
        rows = self.utd * self.batch_size
        shifted = []
        for camera in self.cameras:
            drawn = torch.randint(0, 2 * PAD + 1, (rows, 2), generator=self.generator)
            shifted.append(shift_images(obs[camera], drawn.numpy()))
        return shifted
