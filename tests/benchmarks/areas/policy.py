"""From an observation to an action: the actor's NumPy policy beside the same network in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from robot_rl.networks.policy_mlp import SquashedGaussianPolicy
from robot_rl.testing.wire_harness import random_observation, small_spec

HIDDEN = (256, 256)
BLOCK = 200
"""Calls in a row before the other has its turn."""


def run(*, repeats: int = 4000) -> dict[str, Any]:
    """p50 and p99 in µs of `repeats` calls of each, one thread, an MLP 256 x 256 on 40 numbers.

    `torch_eager` is that network alone, without a sample or the squashing: a bound, not a policy.
    """
    torch.set_num_threads(1)
    spec = small_spec()
    policy = SquashedGaussianPolicy(spec, hidden=HIDDEN)
    policy.load(_weights(40, 2 * spec.action_dim), 1)
    obs = random_observation(spec, np.random.default_rng(0))
    network = nn.Sequential(
        nn.Linear(40, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 14)
    )
    row = torch.zeros(1, 40)

    def eager() -> None:
        with torch.inference_mode():
            network(row)

    calls: dict[str, Callable[[], object]] = {
        "act": lambda: policy.act(obs, 0, 0),
        "act_deterministic": lambda: policy.act(obs, 0, 0, deterministic=True),
        "torch_eager": eager,
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(max(1, repeats // BLOCK)):
        for name, call in calls.items():
            times[name] += _times(call)
    result: dict[str, Any] = {"repeats": repeats}
    for name, found in times.items():
        p50, p99 = np.percentile(found, [50, 99])
        result |= {f"{name}_p50_us": float(p50), f"{name}_p99_us": float(p99)}
    return result


def _times(call: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(BLOCK):
        start = time.perf_counter_ns()
        call()
        found.append((time.perf_counter_ns() - start) / 1e3)
    return found


def _weights(inputs: int, outputs: int) -> dict[str, np.ndarray]:
    rng, widths, weights = np.random.default_rng(0), [inputs, *HIDDEN, outputs], {}
    for i, (rows, columns) in enumerate(pairwise(widths)):
        weights[f"actor.w{i}"] = rng.normal(0, 0.05, (rows, columns)).astype(np.float32)
        weights[f"actor.b{i}"] = np.zeros(columns, np.float32)
    return weights
