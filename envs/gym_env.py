"""Any registered Gymnasium environment with bounded actions, told apart by its id alone.

Actions are rescaled to [-1, 1]. Image-like parts of the observation (uint8, height x width x 3)
stay images; all others are flattened and joined into one "state" vector.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from robot_rl.errors import ConfigError, PoisonedDataError, SpecError, suggest
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.timing import NS
from robot_rl.types import Array, LimitStage

FLATTENED = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)
SUCCESS_KEYS = ("is_success", "success")


class GymEnv(gymnasium.Env[Any, Array]):
    """A gymnasium environment with the interface and info keys of `RobotEnv`.

    env = GymEnv("Pendulum-v1")
    obs, info = env.reset(seed=0)
    obs, reward, terminated, truncated, info = env.step(action)      # action (dim,) in [-1, 1]

    Stamps count steps in simulated time (`dt`, else the render rate, else one second a step); each
    episode is a time base of its own, named from the seed, so that equal seeds give equal stamps.
    Success is `info["is_success"]` or `info["success"]`; -1 where the environment says neither.
    """

    def __init__(
        self,
        id: str,
        *,
        kwargs: dict[str, Any] | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """`kwargs` go to `gymnasium.make`; `max_steps` replaces the registered time limit.

        Raises ConfigError when the id is unknown or the environment cannot be trained.
        """
        self._inner = _make(id, dict(kwargs or {}), max_steps, render_mode)
        self.metadata = self._inner.metadata
        self.render_mode = render_mode
        self._action = _bounded_action(self._inner.action_space, id)
        self._parts = list(_parts(self._inner.observation_space, (), id))
        self.data_spec = self._make_spec(id, kwargs or {})
        dim = self.data_spec.action_dim
        self._low = self._action.low.astype(np.float64).ravel()
        self._half = (self._action.high.astype(np.float64).ravel() - self._low) / 2
        self.action_space = spaces.Box(-1.0, 1.0, (dim,), np.float32)
        self.observation_space = spaces.Dict(
            {
                array.name: spaces.Box(
                    array.low, array.high, array.shape, np.uint8 if array.is_image else np.float32
                )
                for array in self.data_spec.observation
            }
        )
        self._period_ns = round(NS / (_rate(self._inner) or 1.0))
        self._stamp_ns = 0
        self._boot_id = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        super().reset(seed=seed)
        raw, info = self._inner.reset(seed=seed, options=options)
        self._boot_id = int(self.np_random.integers(1, 2**63))
        self._stamp_ns = 0
        zero = np.zeros(self.data_spec.action_dim, np.float32)
        return self._observe(raw), self._info(info, zero, zero, 0)

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """Raises SpecError on a wrong shape, PoisonedDataError on NaN in, or out of, the step."""
        action = np.asarray(action, np.float64)
        if action.shape != self._low.shape:
            raise SpecError(f"action: got shape {action.shape}, valid: {self._low.shape}")
        if not np.isfinite(action).all():
            raise PoisonedDataError(f"action: {action}; valid: finite, in [-1, 1]")
        executed = np.clip(action, -1.0, 1.0)
        native = self._low + (executed + 1.0) * self._half
        shaped = native.reshape(self._action.shape).astype(self._action.dtype)
        shaped = np.clip(shaped, self._action.low, self._action.high)
        raw, reward, terminated, truncated, info = self._inner.step(shaped)
        reward = float(reward)
        if not math.isfinite(reward):
            raise PoisonedDataError(f"{self.data_spec.name}: reward {reward}; valid: finite")
        before, self._stamp_ns = self._stamp_ns, self._stamp_ns + self._period_ns
        info = self._info(
            info, executed.astype(np.float32), shaped.astype(np.float32).ravel(), before
        )
        terminated = bool(terminated)
        return self._observe(raw), reward, terminated, bool(truncated) and not terminated, info

    def render(self) -> Any:
        return self._inner.render()

    def close(self) -> None:
        """Frees the environment; may be called twice."""
        self._inner.close()

    def _observe(self, raw: Any) -> dict[str, Array]:
        obs: dict[str, Array] = {}
        vectors: list[Array] = []
        for path, space in self._parts:
            value = raw
            for key in path:
                value = value[key]
            if _is_image(space):
                obs[_name(path)] = np.array(value, np.uint8)
            else:
                vectors.append(np.asarray(spaces.flatten(space, value), np.float32))
        if vectors:
            obs["state"] = np.concatenate(vectors)
            if not np.isfinite(obs["state"]).all():
                name = self.data_spec.name
                raise PoisonedDataError(f"{name}: the observation has NaN; valid: finite")
        return obs

    def _info(
        self, info: Mapping[str, Any], executed: Array, commanded: Array, before_ns: int
    ) -> dict[str, Any]:
        told = next((key for key in SUCCESS_KEYS if key in info), None)
        return {
            "executed": executed,
            "commanded": commanded,
            "limiting_stage": LimitStage.NONE,
            "success": -1 if told is None else int(bool(info[told])),
            "stamp_ns": self._stamp_ns,
            "action_stamp_ns": before_ns,
            "boot_id": self._boot_id,
            "metrics": {},
            "fault": "",
        }

    def _make_spec(self, id: str, kwargs: Mapping[str, Any]) -> EnvSpec:
        layout = [
            (_name(path), int(spaces.flatdim(space)))
            for path, space in self._parts
            if not _is_image(space)
        ]
        arrays = [ArraySpec("state", (sum(n for _, n in layout),))] if layout else []
        for path, space in self._parts:
            if _is_image(space):
                arrays.append(ArraySpec(_name(path), tuple(space.shape or ()), "uint8", 0, 255))
        dim = int(np.prod(self._action.shape))
        half = (self._action.high.astype(np.float64) - self._action.low) / 2
        return EnvSpec(
            name=id,
            observation=tuple(arrays),
            action=ArraySpec("action", (dim,), "float32", -1.0, 1.0),
            command_layout=(("action", dim),),
            rate_hz=_rate(self._inner),
            action_scale=tuple(half.ravel().tolist()),
            state_layout=tuple(layout),
            facts=(("kwargs", json.dumps(dict(kwargs), sort_keys=True, default=str)),),
        )


def _make(
    id: str, kwargs: dict[str, Any], max_steps: int | None, render_mode: str | None
) -> gymnasium.Env[Any, Any]:
    if ":" not in id and id not in gymnasium.registry:
        raise ConfigError(f"env.id='{id}' is not registered; {_near(id)}")
    try:
        return gymnasium.make(
            id,
            max_episode_steps=max_steps,
            disable_env_checker=True,
            **({"render_mode": render_mode} if render_mode else {}),
            **kwargs,
        )
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise ConfigError(f"env.id='{id}' cannot be made: {error}") from error


def _near(id: str) -> str:
    """The hint alone: the whole registry would fill a screen."""
    return suggest(id, gymnasium.registry).split(" valid:")[0] + " valid: a Gymnasium id"


def _bounded_action(space: spaces.Space[Any], id: str) -> spaces.Box:
    valid = "valid: a Box of floats with finite bounds"
    if not isinstance(space, spaces.Box):
        raise ConfigError(f"env.id='{id}' has {type(space).__name__} actions; {valid}")
    if space.dtype is None or space.dtype.kind != "f":
        raise ConfigError(f"env.id='{id}' has {space.dtype} actions; {valid}")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ConfigError(f"env.id='{id}' has unbounded actions {space}; {valid}")
    if not (space.high > space.low).all() or not space.shape or 0 in space.shape:
        raise ConfigError(f"env.id='{id}' has actions {space} without room; {valid}")
    return space


def _parts(
    space: spaces.Space[Any], path: tuple[Any, ...], id: str
) -> Iterator[tuple[tuple[Any, ...], spaces.Space[Any]]]:
    """Leaves of nested Dict and Tuple spaces, each with its path."""
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _parts(inner, (*path, key), id)
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from _parts(inner, (*path, index), id)
    elif isinstance(space, FLATTENED):
        yield path, space
    else:
        raise ConfigError(
            f"env.id='{id}': observation '{_name(path)}' is a {type(space).__name__}; valid: "
            "Box, Discrete, MultiBinary, MultiDiscrete, and Dict or Tuple of these"
        )


def _is_image(space: spaces.Space[Any]) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[2] == 3
    )


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path)) or "observation"


def _rate(env: gymnasium.Env[Any, Any]) -> float:
    """Steps a second of simulated time; 0 where the environment does not say."""
    dt = getattr(env.unwrapped, "dt", None)
    if isinstance(dt, (int, float)) and dt > 0:
        return 1.0 / float(dt)
    return float(env.metadata.get("render_fps", None) or 0.0)
