"""The squashed Gaussian policy on images: encoder and MLP in torch, in the actor's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from robot_rl.errors import SpecError
from robot_rl.networks.encoder import encode, encoder_layout
from robot_rl.networks.policy_mlp import SquashedGaussianPolicy, check_weights
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, Observation, Plan


class ImagePolicy:
    """Implements `Policy`: features of the cameras beside the vectors, then the MLP policy.

    Weights: `actor.*` as SquashedGaussianPolicy, `encoder.<camera>.<array>` as networks/encoder.
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        hidden: Sequence[int] = (256, 256),
        features: int = 64,
        threads: int = 1,
        seed: int = 0,
    ) -> None:
        if not spec.image_keys:
            raise SpecError(f"{spec.name}: no images; valid: SquashedGaussianPolicy (agent=rlpd)")
        torch.set_num_threads(threads)
        cameras = [array for array in spec.observation if array.is_image]
        vectors = tuple(array for array in spec.observation if not array.is_image)
        seen = ArraySpec("features", (features * len(cameras),))
        inner = EnvSpec(spec.name, (*vectors, seen), spec.action, spec.command_layout, spec.rate_hz)
        self._head = SquashedGaussianPolicy(inner, hidden=hidden, seed=seed)
        self._cameras, self._vectors = spec.image_keys, spec.vector_keys
        layout = encoder_layout(cameras, features)
        self._shapes = {f"encoder.{name}": shape for name, shape in layout.shapes.items()}
        self._encoder: dict[str, Tensor] = {}

    @property
    def version(self) -> int:
        return self._head.version

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """As SquashedGaussianPolicy.load, for the encoder's arrays too; all or none are taken."""
        check_weights(weights, self._shapes, version, self.version)
        self._head.load(weights, version)
        self._encoder = {
            name.removeprefix("encoder."): torch.from_numpy(np.array(weights[name], np.float32))
            for name in self._shapes
        }

    def reset(self, seed: int | None = None) -> None:
        self._head.reset(seed)

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        """One action (1, dim) for one unbatched observation; uniform before any weights."""
        seen: dict[str, Array] = {name: obs[name] for name in self._vectors}
        if self.version > 0:
            with torch.inference_mode():
                images = {
                    name: torch.from_numpy(np.ascontiguousarray(obs[name]))[None]
                    for name in self._cameras
                }
                seen["features"] = encode(self._encoder, images)[0].numpy()
        return self._head.act(seen, step, stamp_ns, deterministic=deterministic)
