"""Other replay buffers on the same task, where they are installed: Stable-Baselines3 and cpprb."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box


def median_s(
    call: Callable[[], Any], repeats: int, before: Callable[[int], None] = lambda _: None
) -> float:
    """Median seconds of `call`; `before(i)` is not counted."""
    times = []
    for number in range(repeats):
        before(number)
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e9


def time_peers(rows: int, batch: int, repeats: int) -> dict[str, float]:
    """µs for `batch` uniform samples from one full buffer, less work than ours, which mixes two."""
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
