"""gym-hil's pick cube, random actions, resets included; with two cameras on request.

python tests/benchmarks/gym_hil_env.py <<< '{"steps": 60}'
"""

from __future__ import annotations

import os
import time
from functools import cache
from importlib.metadata import version
from typing import Any

from answering import answer, one_core

one_core()
os.environ.setdefault("MUJOCO_GL", "egl")

import gym_hil  # noqa: E402, F401 (after the binding; registers its ids)
import gymnasium  # noqa: E402
import numpy as np  # noqa: E402

ENV = "gym_hil/PandaPickCubeBase-v0"


@cache
def environment(cameras: bool) -> Any:
    env = gymnasium.make(ENV, disable_env_checker=True, image_obs=cameras)
    env.reset(seed=0)
    return env


def measure(steps: int = 60, cameras: bool = False) -> dict[str, Any]:
    """Environment steps a second."""
    env, rng = environment(cameras), np.random.default_rng(0)
    low, high = env.action_space.low, env.action_space.high
    start = time.perf_counter()
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(rng.uniform(low, high).astype(np.float32))
        if terminated or truncated:
            env.reset()
    return {"steps_per_s": steps / (time.perf_counter() - start)}


if __name__ == "__main__":
    answer({name: version(name) for name in ("gym-hil", "mujoco")}, measure)
