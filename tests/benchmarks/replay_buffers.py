"""Stable-Baselines3's and cpprb's replay buffers: 256 uniform state transitions a call.

python tests/benchmarks/replay_buffers.py <<< '{"repeats": 300}'
"""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from answering import answer, median_s, one_core

one_core()

import numpy as np  # noqa: E402 (sizes its pool by the core)
from gymnasium.spaces import Box  # noqa: E402


def measure(rows: int = 200_000, repeats: int = 300, batch: int = 256) -> dict[str, Any]:
    """Median µs for `batch` uniform samples from one full buffer, by peer that is installed here:
    less work than ours, which mixes two."""
    found = {}
    if importlib.util.find_spec("stable_baselines3"):
        found["stable_baselines3"] = 1e6 * _stable_baselines(rows, batch, repeats)
    if importlib.util.find_spec("cpprb"):
        found["cpprb"] = 1e6 * _cpprb(rows, batch, repeats)
    return found


def _stable_baselines(rows: int, batch: int, repeats: int) -> float:
    buffers = importlib.import_module("stable_baselines3.common.buffers")
    space = Box(-np.inf, np.inf, (40,))
    buffer = buffers.ReplayBuffer(rows, space, Box(-1, 1, (7,)), device="cpu")
    obs, action = np.ones((1, 40), np.float32), np.ones((1, 7), np.float32)
    value, info = np.zeros(1, np.float32), [dict[str, object]()]

    for _ in range(rows):
        buffer.add(obs, obs, action, value, value, info)
    return median_s(lambda: buffer.sample(batch), repeats)


def _cpprb(rows: int, batch: int, repeats: int) -> float:
    buffer = importlib.import_module("cpprb").ReplayBuffer(
        rows,
        {
            "obs": {"shape": 40},
            "act": {"shape": 7},
            "rew": {},
            "next_obs": {"shape": 40},
            "done": {},
        },
    )
    one = np.ones((1, 40), np.float32)

    for _ in range(rows):
        buffer.add(obs=one, act=one[:, :7], rew=0.0, next_obs=one, done=0.0)
    return median_s(lambda: buffer.sample(batch), repeats)


def versions() -> dict[str, str]:
    found = {}
    for name in ("stable-baselines3", "cpprb"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    answer(versions(), measure)
