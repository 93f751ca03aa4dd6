"""Stable-Baselines3's SAC as it ships: `train()`, an actor update with every critic update.

python tests/benchmarks/sb3_sac.py <<< '{"critics": 2, "updates": 100}'
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from answering import answer, one_core

one_core()

import gymnasium  # noqa: E402 (after the binding)
import numpy as np  # noqa: E402
import stable_baselines3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.logger import configure  # noqa: E402

OBS, ACTION, BATCH = 40, 7, 256
POLICY_CALLS = 500


class Nothing(gymnasium.Env[np.ndarray, np.ndarray]):
    """Spaces of the benchmark's size."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBS,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (ACTION,), np.float32)


@cache
def learner(critics: int) -> stable_baselines3.SAC:
    """With a replay of random transitions."""
    torch.set_num_threads(1)
    model = stable_baselines3.SAC(
        "MlpPolicy",
        Nothing(),
        batch_size=BATCH,
        buffer_size=10_000,
        policy_kwargs={"net_arch": [256, 256], "n_critics": critics},
        device="cpu",
        seed=0,
    )
    model.set_logger(configure(None, []))
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        obs, following = rng.standard_normal((2, 1, OBS), np.float32)
        action = rng.uniform(-1, 1, (1, ACTION)).astype(np.float32)
        model.replay_buffer.add(obs, following, action, np.ones(1), np.zeros(1), [{}])
    model.train(gradient_steps=3, batch_size=BATCH)
    return model


def measure(critics: int = 2, updates: int = 60, policy: bool = False) -> dict[str, Any]:
    """Critic updates a second, sampling its replay included; or µs of `predict` on one row."""
    model = learner(critics)
    if policy:
        obs, times = np.zeros(OBS, np.float32), []
        for _ in range(POLICY_CALLS):
            start = time.perf_counter_ns()
            model.predict(obs)
            times.append((time.perf_counter_ns() - start) / 1e3)
        return {
            "p50_us": float(np.percentile(times, 50)),
            "p99_us": float(np.percentile(times, 99)),
        }
    start = time.perf_counter()
    model.train(gradient_steps=updates, batch_size=BATCH)
    return {"critic_updates_per_s": updates / (time.perf_counter() - start)}


if __name__ == "__main__":
    versions = {"stable_baselines3": stable_baselines3.__version__, "torch": torch.__version__}
    answer(versions, measure)
