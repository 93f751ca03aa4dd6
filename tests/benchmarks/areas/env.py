"""Environment steps a second, beside gym-hil's pick cube where it is installed.

    figures = run(lambda cameras: make_env(...))

Parts take turns, so that a busy machine slows all of them alike; the ratios are of medians in one
run.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import count as count_from
from typing import Any

import gymnasium
import numpy as np

from robot_rl.interfaces import Expert, RobotEnvironment

Stepper = Callable[[int], int]
"""Runs about n steps; gives the number run."""
CAMERAS = ("wrist", "external")
PEER = "gym_hil/PandaPickCubeBase-v0"


def run(
    make_env: Callable[[Sequence[str]], RobotEnvironment], *, repeats: int = 5, steps: int = 300
) -> dict[str, Any]:
    """Medians of steps/s, resets included.

    make_env: gives a pick-cube environment for a sequence of camera names. The parts: random
    actions, the scripted expert's (the time that it takes to decide left out of neither), two
    cameras, and the peer. "ratio" compares random actions.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    state, images = make_env(()), make_env(CAMERAS)
    parts: dict[str, tuple[Stepper, int]] = {
        "random": (_random_steps(state), steps),
        "expert": (_expert_steps(state), steps),
        "two_cameras": (_random_steps(images), max(1, steps // 10)),
    }
    peer = _peer()
    if peer is not None:
        parts["gym_hil"] = (_peer_steps(peer), max(1, steps // 5))
    rates: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, (step, count) in parts.items():
            rates[name].append(_rate(step, count))
    medians = {f"{name}_steps_per_s": statistics.median(rates[name]) for name in parts}
    result: dict[str, Any] = {"repeats": repeats, "steps": steps, **medians}
    if peer is not None:
        result["ratio_to_gym_hil"] = medians["random_steps_per_s"] / medians["gym_hil_steps_per_s"]
        peer.close()
    state.close()
    images.close()
    return result


def _rate(step: Stepper, count: int) -> float:
    start = time.perf_counter()
    done = step(count)
    return done / (time.perf_counter() - start)


def _random_steps(env: RobotEnvironment) -> Stepper:
    rng = np.random.default_rng(0)
    seeds = count_from(1)
    env.reset(0)

    def step(count: int) -> int:
        for _ in range(count):
            done = env.step(rng.uniform(-1.0, 1.0, env.spec.action_dim).astype(np.float32))
            if done.terminated or done.truncated:
                env.reset(next(seeds))
        return count

    return step


def _expert_steps(env: RobotEnvironment) -> Stepper:
    seeds = count_from(1)
    assert isinstance(env, Expert)

    def step(count: int) -> int:
        env.reset(0)
        for _ in range(count):
            done = env.step(env.expert_action())
            if done.terminated or done.truncated:
                env.reset(next(seeds))
        return count

    return step


def _peer_steps(env: Any) -> Stepper:
    rng, space = np.random.default_rng(0), env.action_space
    env.reset(seed=0)

    def step(count: int) -> int:
        for _ in range(count):
            action = rng.uniform(space.low, space.high).astype(space.dtype)
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return count

    return step


def _peer() -> Any:
    """gym-hil's environment without cameras, or None where it is not installed."""
    if importlib.util.find_spec("gym_hil") is None:
        return None
    importlib.import_module("gym_hil")  # registers its ids
    return gymnasium.make(PEER, disable_env_checker=True)
