"""From named observation arrays to the one vector a network takes. No torch."""

from __future__ import annotations

import numpy as np

from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation


def vector_size(spec: EnvSpec) -> int:
    """Width of all non-image arrays side by side."""
    return sum(array.size for array in spec.observation if not array.is_image)


def join_vectors(obs: Observation, spec: EnvSpec) -> Array:
    """(N, width) float32 from arrays (N, ...), in the spec's order."""
    keys = spec.vector_keys
    if len(keys) == 1:
        only = obs[keys[0]]
        return np.ascontiguousarray(only.reshape(len(only), -1), dtype=np.float32)
    parts = [obs[key].reshape(len(obs[key]), -1) for key in keys]
    return np.concatenate(parts, axis=1, dtype=np.float32)
