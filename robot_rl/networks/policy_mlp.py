"""The squashed Gaussian policy in preallocated NumPy: no torch in the actor's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.errors import PoisonedDataError, SpecError, suggest
from robot_rl.networks.scaling import InputScale
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation, Plan

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
_VALID = np.ones(1, dtype=bool)


class SquashedGaussianPolicy:
    """Implements `Policy`: action = tanh(mean + std * noise) of an MLP with ReLU layers.

    Before the first `load` (version 0) actions are uniform in [-1, 1]. Weights are named
    `actor.w<i>` (in, out) and `actor.b<i>` (out,); the last layer gives mean and log std. With
    `scale.*` (networks/scaling.py) inputs are scaled first.
    """

    def __init__(
        self,
        spec: EnvSpec,
        *,
        hidden: Sequence[int] = (256, 256),
        seed: int = 0,
    ) -> None:
        if spec.image_keys:
            raise SpecError(
                f"{spec.name}: SquashedGaussianPolicy takes no images, got "
                f"{', '.join(spec.image_keys)}; valid: the image policy (agent=rlpd_image)"
            )
        self._keys = spec.vector_keys
        self._dim = spec.action_dim
        self._rng = np.random.default_rng(seed)
        self._version = 0
        width = sum(array.size for array in spec.observation)
        self._shapes = _shapes(width, hidden, 2 * self._dim)
        self._weights = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        layers = len(hidden) + 1
        self._layers = [
            (self._weights[f"actor.w{i}"], self._weights[f"actor.b{i}"]) for i in range(layers)
        ]
        self._input, self._scale = np.zeros(width, np.float32), InputScale(width)
        self._outputs = [np.zeros(bias.shape, np.float32) for _, bias in self._layers]
        self._noise = np.zeros(self._dim, np.float32)

    @property
    def version(self) -> int:
        return self._version

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """Copies float32 weights; the old ones stay when any array is missing, wrong or not finite.

        Raises SpecError on a missing or misshapen array, PoisonedDataError on NaN or infinity.
        """
        check_weights(weights, self._shapes, version, self._version)
        self._scale.check(weights)
        self._scale.load(weights)
        for name, own in self._weights.items():
            np.copyto(own, weights[name], casting="same_kind")
        self._version = version

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget: one step depends on one observation. A seed starts the noise anew."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        """One action (1, dim) for one unbatched observation; uniform before any weights."""
        if self._version == 0:
            action = self._rng.uniform(-1.0, 1.0, (1, self._dim)).astype(np.float32)
            return Plan(action, _VALID, step, stamp_ns, 0)
        start = 0
        for key in self._keys:
            part = obs[key]
            self._input[start : start + part.size] = part.reshape(-1)
            start += part.size
        self._scale(self._input)
        h: Array = self._input
        last = len(self._layers) - 1
        for i, ((weight, bias), out) in enumerate(zip(self._layers, self._outputs, strict=True)):
            np.dot(h, weight, out=out)
            np.add(out, bias, out=out)
            if i != last:
                np.maximum(out, 0.0, out=out)
            h = out
        return Plan(self._squash(h, deterministic), _VALID, step, stamp_ns, self._version)

    def _squash(self, outputs: Array, deterministic: bool) -> Array:
        mean, log_std = outputs[: self._dim], outputs[self._dim :]
        if not deterministic:
            self._rng.standard_normal(dtype=np.float32, out=self._noise)
            np.clip(log_std, LOG_STD_MIN, LOG_STD_MAX, out=log_std)
            np.exp(log_std, out=log_std)
            np.multiply(self._noise, log_std, out=self._noise)
            np.add(mean, self._noise, out=mean)
        return np.tanh(mean)[None]


def check_weights(
    weights: Mapping[str, Array],
    shapes: Mapping[str, tuple[int, ...]],
    version: int,
    kept: int,
) -> None:
    """Raises SpecError on a missing or misshapen array, PoisonedDataError on NaN or infinity."""
    for name, shape in shapes.items():
        if name not in weights:
            raise SpecError(f"policy weights lack '{name}'; {suggest(name, weights)}")
        if weights[name].shape != shape:
            raise SpecError(
                f"policy weights '{name}': got {list(weights[name].shape)}, valid: {list(shape)}"
            )
        if not np.isfinite(weights[name]).all():
            raise PoisonedDataError(
                f"policy weights '{name}' of version {version} hold NaN or infinity; "
                f"version {kept} stays in use"
            )


def _shapes(inputs: int, hidden: Sequence[int], outputs: int) -> dict[str, tuple[int, ...]]:
    widths = [inputs, *hidden, outputs]
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(len(widths) - 1):
        shapes[f"actor.w{i}"] = (widths[i], widths[i + 1])
        shapes[f"actor.b{i}"] = (widths[i + 1],)
    return shapes
