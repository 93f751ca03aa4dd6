"""Conformance of an environment: what every `env` config must pass.

    check_env(make_env())

Each check raises SpecError saying what was wrong, where, and what is valid.
"""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import env_checker

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.specs import EnvSpec, validate, validate_observation
from robot_rl.types import Array, LimitStage, Observation

INFO_KEYS = (
    "executed",
    "commanded",
    "limiting_stage",
    "success",
    "stamp_ns",
    "action_stamp_ns",
    "boot_id",
    "metrics",
)
SMALL = 0.1
"""Actions this small are carried out from any start pose, up to `SMALL_ERROR`."""
SMALL_ERROR = 0.05


def check_env(env: Any, *, seed: int = 0, steps: int = 10, longest: int = 2000) -> None:
    """Runs every check on one environment, and closes it.

    steps: length of the compared rollouts; longest: steps within which an episode must end.
    """
    with warnings.catch_warnings():
        # Unbounded observation spaces are meant: the spec gives scales, not bounds.
        warnings.filterwarnings("ignore", category=UserWarning)
        try:
            env_checker.check_env(env, skip_render_check=True)
        except AssertionError as error:
            raise SpecError(f"gymnasium's checker: {error}") from error
    check_spec(env)
    check_rollout(env, seed, steps)
    check_determinism(env, seed, steps)
    check_executed(env, seed)
    check_refusals(env, seed)
    check_end(env, seed, longest)
    env.close()
    env.close()


def check_spec(env: Any) -> None:
    """The spec round-trips, and the spaces say what it says."""
    spec = env.data_spec
    if EnvSpec.from_json(spec.to_json()) != spec:
        raise SpecError("data_spec differs after to_json and from_json")
    action = env.action_space
    if not isinstance(action, gymnasium.spaces.Box) or action.shape != (spec.action_dim,):
        raise SpecError(f"action space {action}; valid: a Box of shape ({spec.action_dim},)")
    if action.dtype != np.float32 or (action.low != -1).any() or (action.high != 1).any():
        raise SpecError(f"action space {action}; valid: float32 in [-1, 1]")
    spaces = dict(env.observation_space.spaces)
    names = {array.name for array in spec.observation}
    if set(spaces) != names:
        raise SpecError(f"observation space has {sorted(spaces)}, the spec {sorted(names)}")
    for array in spec.observation:
        space = spaces[array.name]
        if space.shape != array.shape or space.dtype != np.dtype(array.dtype):
            raise SpecError(f"space of '{array.name}' is {space}; the spec says {array}")
    widths = sum(width for _, width in spec.state_layout)
    state = next((array.size for array in spec.observation if array.name == "state"), 0)
    if widths != state:
        raise SpecError(f"state_layout adds up to {widths}; valid: the state's width, {state}")
    if spec.action_scale and len(spec.action_scale) != spec.action_dim:
        raise SpecError(
            f"action_scale has {len(spec.action_scale)} numbers; valid: {spec.action_dim}, or none"
        )


def check_rollout(env: Any, seed: int, steps: int) -> None:
    """Observations and info keep to the spec, stamps to one time base, arrays are not reused."""
    spec, rng = env.data_spec, np.random.default_rng(seed)
    obs, info = env.reset(seed=seed)
    _check_step(obs, info, spec, "reset")
    kept, copies = obs, {name: array.copy() for name, array in obs.items()}
    for index in range(steps):
        before = info
        obs, reward, terminated, truncated, info = env.step(_random(spec, rng))
        _check_step(obs, info, spec, f"step {index}")
        if not isinstance(reward, float) or not np.isfinite(reward):
            raise SpecError(f"step {index}: reward {reward!r}; valid: a finite float")
        if info["boot_id"] != before["boot_id"]:
            raise SpecError(f"step {index}: boot_id changed within an episode")
        if not info["action_stamp_ns"] == before["stamp_ns"] < info["stamp_ns"]:
            raise SpecError(
                f"step {index}: action stamp {info['action_stamp_ns']}, stamp {info['stamp_ns']}; "
                f"valid: {before['stamp_ns']} (of the observation before), then later"
            )
        if terminated or truncated:
            break
    for name, array in copies.items():
        if not np.array_equal(kept[name], array):
            raise SpecError(f"'{name}' of the reset was overwritten by later steps; valid: a copy")


def check_determinism(env: Any, seed: int, steps: int) -> None:
    """Equal seeds and actions give bit-equal observations, rewards and executed actions."""
    first, second = (_record(env, seed, steps) for _ in range(2))
    if len(first) != len(second):
        raise SpecError(f"one seed, {len(first)} and {len(second)} arrays; valid: equal rollouts")
    for (name, one), (_, two) in zip(first, second, strict=True):
        if not np.array_equal(one, two):
            raise SpecError(f"{name} differs between two rollouts of seed {seed}")


def check_executed(env: Any, seed: int) -> None:
    """Small actions are carried out; executed actions never leave [-1, 1], whatever is asked."""
    spec, rng = env.data_spec, np.random.default_rng(seed)
    env.reset(seed=seed)
    action = (SMALL * _random(spec, rng)).astype(np.float32)
    _, _, _, _, info = env.step(action)
    error = np.abs(info["executed"] - action)
    # A gripper that acts beyond a threshold rounds its value.
    if spec.gripper_mode == "ternary":
        error = error[np.array(spec.action_scale) < max(spec.action_scale)]
    if error.size and error.max() > SMALL_ERROR:
        raise SpecError(
            f"a small action {action} was executed as {info['executed']}; valid: within "
            f"{SMALL_ERROR}"
        )
    _, _, _, _, info = env.step(np.full(spec.action_dim, 3.0, np.float32))
    validate(info["executed"], spec.action, "executed, after an action of 3")


def check_refusals(env: Any, seed: int) -> None:
    """NaN and wrong shapes raise before anything moves."""
    spec = env.data_spec
    calm = np.zeros(spec.action_dim, np.float32)
    env.reset(seed=seed)
    expected = env.step(calm)[0]
    env.reset(seed=seed)
    for value in (np.nan, np.inf):
        bad = calm.copy()
        bad[-1] = value
        _expect(env, bad, PoisonedDataError, f"an action with {value}")
    _expect(env, np.zeros(spec.action_dim + 1, np.float32), SpecError, "a longer action")
    obs = env.step(calm)[0]
    for name in expected:
        if not np.array_equal(obs[name], expected[name]):
            raise SpecError(f"a refused action changed '{name}'; valid: nothing moves")


def check_end(env: Any, seed: int, longest: int) -> None:
    """An episode ends, and is not terminated and truncated at once."""
    spec, rng = env.data_spec, np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(longest):
        _, _, terminated, truncated, info = env.step(_random(spec, rng))
        if not isinstance(terminated, bool) or not isinstance(truncated, bool):
            raise SpecError(f"terminated {terminated!r}, truncated {truncated!r}; valid: bool")
        if terminated and truncated:
            raise SpecError("terminated and truncated at once; valid: truncated only at a limit")
        if info["success"] not in (-1, 0, 1):
            raise SpecError(f"success {info['success']!r}; valid: 1, 0 or -1 (not judged)")
        if terminated or truncated:
            return
    raise SpecError(f"no episode ended within {longest} steps; valid: a time limit")


def _check_step(obs: Observation, info: dict[str, Any], spec: EnvSpec, where: str) -> None:
    validate_observation(obs, spec, where)
    missing = [key for key in INFO_KEYS if key not in info]
    if missing:
        raise SpecError(f"{where}: info lacks {', '.join(missing)}; valid: {', '.join(INFO_KEYS)}")
    validate(info["executed"], spec.action, f"{where}: executed")
    commanded = info["commanded"]
    if commanded.shape != (spec.command_dim,) or commanded.dtype != np.float32:
        raise SpecError(
            f"{where}: commanded is {commanded.dtype}{list(commanded.shape)}; valid: "
            f"float32[{spec.command_dim}]"
        )
    LimitStage(info["limiting_stage"])


def _record(env: Any, seed: int, steps: int) -> list[tuple[str, Array]]:
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    arrays = [(f"reset: {name}", obs[name].copy()) for name in sorted(obs)]
    for index in range(steps):
        obs, reward, terminated, truncated, info = env.step(_random(env.data_spec, rng))
        arrays += [(f"step {index}: {name}", obs[name].copy()) for name in sorted(obs)]
        arrays.append((f"step {index}: reward", np.float64(reward)))
        arrays.append((f"step {index}: executed", info["executed"].copy()))
        if terminated or truncated:
            break
    return arrays


def _expect(env: Any, action: Array, kind: type[Exception], what: str) -> None:
    try:
        env.step(action)
    except kind:
        return
    raise SpecError(f"{what} was taken; valid: {kind.__name__}")


def _random(spec: EnvSpec, rng: np.random.Generator) -> Array:
    return rng.uniform(-1.0, 1.0, spec.action_dim).astype(np.float32)
