"""Conformance of an algorithm: what every `agent` config must pass.

    check_agent(lambda seed: make_agent(seed), lambda seed: make_policy(seed), spec)

Batches are random ones of the kind that the agent's `sampling` asks for. Each check raises
SpecError saying what was wrong, where, and what is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from robot_rl.errors import CheckpointError, PoisonedDataError, RobotRLError, SpecError
from robot_rl.interfaces import Agent, Policy
from robot_rl.sampling import Sampling
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array, Batch, Observation, Plan

MakeAgent = Callable[[int], Agent]
MakePolicy = Callable[[int], Policy]


def check_agent(
    make_agent: MakeAgent, make_policy: MakePolicy, spec: EnvSpec, *, blocks: int = 2
) -> None:
    """Runs every check; the makers take a seed."""
    check_learning(make_agent, spec, blocks)
    check_resume(make_agent, spec, blocks)
    check_refusals(make_agent, spec)
    check_parts(make_agent, spec)
    check_policy(make_agent, make_policy, spec)


def check_learning(make_agent: MakeAgent, spec: EnvSpec, blocks: int) -> None:
    """Updates change the policy's weights; equal seeds give equal weights."""
    one, two = make_agent(0), make_agent(0)
    wants = one.sampling
    before = one.policy_weights()
    for block in range(blocks):
        batch = random_batch(spec, wants, seed=block)
        for agent in (one, two):
            metrics = agent.update(batch)
            if metrics is not None and not np.isfinite(list(metrics.values())).all():
                raise SpecError(f"update: metrics {dict(metrics)}; valid: finite")
    after = one.policy_weights()
    for name, array in after.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise SpecError(f"policy_weights '{name}': {array.dtype}; valid: finite float32")
    if all(np.array_equal(array, before[name]) for name, array in after.items()):
        raise SpecError(f"policy_weights are unchanged after {blocks} updates")
    _check_equal(after, two.policy_weights(), "two agents of one seed")


def check_resume(make_agent: MakeAgent, spec: EnvSpec, blocks: int) -> None:
    """An agent of another seed goes on bit-equal from a saved state."""
    one, two = make_agent(0), make_agent(1)
    wants = one.sampling
    one.update(random_batch(spec, wants, seed=0))
    two.load_state(one.state())
    for block in range(blocks):
        batch = random_batch(spec, wants, seed=block)
        one.update(batch)
        two.update(batch)
    _check_equal(one.state(), two.state(), "state after load_state and the same updates")


def check_refusals(make_agent: MakeAgent, spec: EnvSpec) -> None:
    """NaN, wrong shapes and wrong states are refused by type; the agent stays as it was."""
    agent = make_agent(0)
    kept, wants = agent.state(), agent.sampling
    rows = wants.rows
    batch = random_batch(spec, wants, seed=0)
    poisoned = replace(batch, reward=np.full(rows, np.nan, np.float32))
    short = random_batch(spec, replace(wants, utd=1, batch_size=rows - 1), seed=0)
    gone = dict(list(kept.items())[1:])
    _check_refused(lambda: agent.update(poisoned), PoisonedDataError, "NaN in a batch's reward")
    _check_refused(lambda: agent.update(short), SpecError, f"a batch of {rows - 1} rows")
    _check_refused(lambda: agent.load_state(gone), CheckpointError, "a state without its first")
    _check_equal(agent.state(), kept, "state after refusals")


def check_parts(make_agent: MakeAgent, spec: EnvSpec) -> None:
    """Parts load one by one into an agent of another seed; what does not fit changes nothing."""
    one, two = make_agent(0), make_agent(1)
    one.update(random_batch(spec, one.sampling, seed=0))
    parts = one.parts()
    for name, arrays in parts.items():
        two.load_part(name, arrays)
        _check_equal(arrays, two.parts()[name], f"part '{name}' after load_part")
    kept = two.state()
    name, arrays = next(iter(parts.items()))
    _check_refused(lambda: two.load_part("no such part", {}), CheckpointError, "an unknown part")
    _check_refused(lambda: two.load_part(name, {}), CheckpointError, f"part '{name}' of no array")
    _check_equal(two.state(), kept, "state after refusals")


def check_policy(make_agent: MakeAgent, make_policy: MakePolicy, spec: EnvSpec) -> None:
    """The policy acts at random, then from the agent's weights; refuses NaN and keeps the old."""
    agent, policy = make_agent(0), make_policy(0)
    agent.update(random_batch(spec, agent.sampling, seed=0))
    one = replace(agent.sampling, utd=1, batch_size=1, history=1)
    obs = {name: array[0] for name, array in random_batch(spec, one, seed=5).obs.items()}
    if policy.version != 0:
        raise SpecError(f"policy version {policy.version} before load; valid: 0")
    _check_chunk(policy.act(obs, 1, 7), spec)
    weights = agent.policy_weights()
    policy.load(weights, 3)
    if policy.version != 3:
        raise SpecError(f"policy version {policy.version} after load; valid: 3")
    policy.reset()
    chunk = policy.act(obs, 4, 9, deterministic=True)
    _check_chunk(chunk, spec)
    if (chunk.start_step, chunk.stamp_ns, chunk.version) != (4, 9, 3):
        raise SpecError(f"chunk {chunk}; valid: start step 4, stamp 9, version 3")
    _check_still(policy, obs, chunk, "a second deterministic call")
    _check_seeded(policy, obs)
    name = next(iter(weights))
    bad = dict(weights) | {name: np.full_like(weights[name], np.nan)}
    _check_refused(lambda: policy.load(bad, 4), PoisonedDataError, f"NaN weights '{name}'")
    _check_still(policy, obs, chunk, "an act after refused weights")
    _check_chunk(policy.act(obs, 5, 10), spec)


def _check_seeded(policy: Policy, obs: Observation) -> None:
    drawn = []
    for seed in (5, 6, 5):
        policy.reset(seed)
        drawn.append([policy.act(obs, step, 9).actions.tobytes() for step in range(3)])
    if drawn[0] != drawn[2]:
        raise SpecError("reset(seed) does not decide what act draws; valid: the same from a seed")


def random_batch(spec: EnvSpec, sampling: Sampling, seed: int) -> Batch:
    """Noise that fits the specification and what is asked for; every second row a demonstration."""
    rng, rows = np.random.default_rng(seed), sampling.rows
    lead = (rows,) if sampling.history == 1 else (rows, sampling.history)
    steps = (rows,) if sampling.horizon == 1 else (rows, sampling.horizon)

    def array(part: ArraySpec) -> Array:
        shape = (*lead, *part.shape)
        if part.is_image:
            return rng.integers(0, 256, shape, dtype=np.uint8)
        drawn = rng.standard_normal(shape).clip(part.low, part.high)
        return drawn.astype(part.dtype)

    valid = np.minimum.accumulate(rng.random(steps) < 0.9, axis=-1)
    valid[..., 0] = True
    returns = rng.standard_normal(rows).astype(np.float32)
    return Batch(
        obs={part.name: array(part) for part in spec.observation},
        action=rng.uniform(-1.0, 1.0, (*steps, spec.action_dim)).astype(np.float32),
        reward=rng.standard_normal(rows).astype(np.float32),
        next_obs={part.name: array(part) for part in spec.observation},
        mask=(rng.random(rows) < 0.9).astype(np.float32),
        discount=np.full(rows, 0.97, np.float32),
        demo=(np.arange(rows) % 2).astype(np.float32),
        valid=valid if sampling.horizon > 1 else None,
        return_to_go=returns if sampling.return_to_go else None,
    )


def _check_chunk(chunk: Plan, spec: EnvSpec) -> None:
    actions = chunk.actions
    if actions.ndim != 2 or actions.shape[1] != spec.action_dim or actions.dtype != np.float32:
        raise SpecError(
            f"act: got {actions.dtype}{list(actions.shape)}, valid: float32[H, {spec.action_dim}]"
        )
    if chunk.valid.shape != (len(actions),) or not chunk.valid[0]:
        raise SpecError(f"act: valid is {chunk.valid}; valid: (H,) bool, the first true")
    if not (np.abs(actions) <= 1.0).all():
        raise SpecError(f"act: actions {actions}; valid: within [-1, 1]")


def _check_still(policy: Policy, obs: Observation, chunk: Plan, what: str) -> None:
    again = policy.act(obs, 4, 9, deterministic=True).actions
    if not np.array_equal(again, chunk.actions):
        raise SpecError(f"{what} gave {again}; valid: {chunk.actions} as before")


def _check_equal(ours: Mapping[str, Array], theirs: Mapping[str, Array], what: str) -> None:
    if set(ours) != set(theirs):
        raise SpecError(f"{what}: arrays {sorted(set(ours) ^ set(theirs))} are on one side only")
    for name, array in ours.items():
        if not np.array_equal(array, theirs[name]):
            raise SpecError(f"{what}: '{name}' differs; valid: bit-equal")


def _check_refused(call: Callable[[], object], expected: type[RobotRLError], what: str) -> None:
    try:
        call()
    except expected:
        return
    except RobotRLError as error:
        got = type(error).__name__
        raise SpecError(f"{what} raised {got}; valid: {expected.__name__}") from error
    raise SpecError(f"{what} was accepted; valid: {expected.__name__}")
