"""How fast environment, policy, replay and learner of one run are on this machine.

Each function takes the real object and gives a rate or times; nothing else may run beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robot_rl.data.sampler import Sampler
from robot_rl.interfaces import Agent, Policy, RobotEnvironment
from robot_rl.specs import EnvSpec
from robot_rl.testing.wire_harness import random_observation
from robot_rl.wire.chunk import ChunkKind, make_header
from robot_rl.wire.record import Kind, record_dtype

EPISODE = 100
"""Records of a made-up episode."""


def env_steps_per_s(env: RobotEnvironment, spec: EnvSpec, seconds: float) -> float:
    """Environment steps a second under random actions, resets included."""
    rng = np.random.default_rng(0)
    env.reset(0)
    start, steps = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        action = rng.uniform(-1, 1, spec.action_dim).astype(np.float32)
        now = env.step(action)
        steps += 1
        if now.terminated or now.truncated:
            env.reset(steps)
    return steps / spent


def act_s(policy: Policy, spec: EnvSpec, calls: int) -> list[float]:
    """Seconds of each call from an observation to a plan."""
    obs = random_observation(spec, np.random.default_rng(0))
    return _times(lambda: policy.act(obs, 0, 0), calls)


def fill(sampler: Sampler, rows: int) -> None:
    """Made-up transitions into replay: noise within the spec, episodes of 99 steps."""
    spec, rng = sampler.replay.spec, np.random.default_rng(0)
    for first in range(0, rows, EPISODE):
        records = np.zeros(EPISODE, record_dtype(spec))
        place = np.arange(EPISODE)
        records["sequence"], records["episode"], records["step"] = first + place, first, place
        records["kind"] = np.where(place > 0, Kind.STEP, Kind.START)
        records["human"], records["success"] = np.nan, -1
        records["terminated"][-1] = True
        for name in ("action", "proposed"):
            records[name] = rng.uniform(-1, 1, records[name].shape)
        for name, values in random_observation(spec, rng).items():
            records[f"obs.{name}"] = values
        header = make_header(
            ChunkKind.RECORDS,
            records.tobytes(),
            actor="bench",
            epoch=1,
            first_sequence=first,
            count=EPISODE,
            record_bytes=records.dtype.itemsize,
        )
        sampler.replay.extend(replace(header, position=first), records)


def sample_s(sampler: Sampler, calls: int) -> list[float]:
    """Seconds of each call that draws the batches of one update block."""
    rng = np.random.default_rng(0)
    return _times(lambda: sampler.sample(rng, sampler.replay.position), calls)


def update_s(agent: Agent, sampler: Sampler, seconds: float) -> float:
    """Seconds of one update block; the first, which may compile, is left out."""
    batch = sampler.sample(np.random.default_rng(0), sampler.replay.position)
    agent.update(batch)
    start, blocks = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        agent.update(batch)
        blocks += 1
    return spent / blocks


def _times(call: Callable[[], object], calls: int) -> list[float]:
    found: list[float] = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found
