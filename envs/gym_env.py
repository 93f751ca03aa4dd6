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

from robot_rl.errors import ConfigError, PoisonedDataError, RobotFault, SpecError, suggest
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.timing import NS
from robot_rl.types import Array, Command, LimitStage, Step

FLATTENED = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)
SUCCESS_KEYS = ("is_success", "success")
DEFAULT_MAX_STEPS = 1000
"""Where neither the registry nor the config has a time limit."""


class GymEnv:
    """Implements `RobotEnvironment` without a robot, by a gymnasium environment.

    env = GymEnv("Pendulum-v1")
    step = env.reset(seed=0)
    step = env.step(action)                              # action (dim,) in [-1, 1]

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
        self.render_mode = render_mode
        self._action = _bounded_action(self._inner.action_space, id)
        self._parts = list(_parts(self._inner.observation_space, (), id))
        self.spec = self._make_spec(id, kwargs or {})
        registered = self._inner.spec.max_episode_steps if self._inner.spec else None
        self.max_steps = max_steps or registered or DEFAULT_MAX_STEPS
        self._low = self._action.low.astype(np.float64).ravel()
        self._half = (self._action.high.astype(np.float64).ravel() - self._low) / 2
        self._idle = np.zeros(self.spec.action_dim, np.float32)
        self._period_ns = round(NS / (_rate(self._inner) or 1.0))
        self._stamp_ns = 0
        self._boot_id = 0
        self._fault = ""
        self._obs: dict[str, Array] | None = None

    def reset(self, seed: int) -> Step:
        """RobotFault while a person's stop is latched."""
        if self._fault:
            raise RobotFault(f"{self._fault}; a person re-arms")
        raw, info = self._inner.reset(seed=seed)
        self._boot_id = int(np.random.default_rng(seed).integers(1, 2**63))
        self._stamp_ns = 0
        return self._step(self._observe(raw), info, self._idle, self._idle, 0)

    def step(self, action: Array) -> Step:
        """Raises SpecError on a wrong shape, PoisonedDataError on NaN in, or out of, the step.

        After `trip` nothing is stepped: the step truncates and says why.
        """
        action = np.asarray(action, np.float64)
        if action.shape != self._low.shape:
            raise SpecError(f"action: got shape {action.shape}, valid: {self._low.shape}")
        if not np.isfinite(action).all():
            raise PoisonedDataError(f"action: {action}; valid: finite, in [-1, 1]")
        if self._obs is None:
            raise SpecError("the environment has no state yet; call reset() first")
        before, self._stamp_ns = self._stamp_ns, self._stamp_ns + self._period_ns
        if self._fault:
            return self._step(self._obs, {}, self._idle, self._idle, before, truncated=True)
        executed = np.clip(action, -1.0, 1.0)
        native = self._low + (executed + 1.0) * self._half
        shaped = native.reshape(self._action.shape).astype(self._action.dtype)
        shaped = np.clip(shaped, self._action.low, self._action.high)
        raw, reward, terminated, truncated, info = self._inner.step(shaped)
        reward = float(reward)
        if not math.isfinite(reward):
            raise PoisonedDataError(f"{self.spec.name}: reward {reward}; valid: finite")
        return self._step(
            self._observe(raw),
            info,
            executed.astype(np.float32),
            shaped.astype(np.float32).ravel(),
            before,
            reward=reward,
            terminated=bool(terminated),
            truncated=bool(truncated) and not terminated,
        )

    def hold(self) -> Array:
        """Zeros: there is no robot whose setpoint could be kept."""
        return self._idle.copy()

    def setpoint(self) -> None:
        """None: there is no robot."""

    def encode(self, goal: Command) -> Array:
        raise ConfigError(
            f"'{self.spec.name}' has no robot that could follow a pose or joint goal; valid: an "
            "operator whose motion is an action"
        )

    def rest(self) -> None:
        """Nothing moves between steps."""

    def trip(self, reason: str) -> None:
        self._fault = self._fault or reason

    def rearm(self) -> None:
        self._fault = ""

    def render(self) -> Any:
        """What the environment draws in its render mode; None without one."""
        return None if self.render_mode is None else self._inner.render()

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
                name = self.spec.name
                raise PoisonedDataError(f"{name}: the observation has NaN; valid: finite")
        return obs

    def _step(
        self,
        obs: dict[str, Array],
        info: Mapping[str, Any],
        executed: Array,
        commanded: Array,
        before_ns: int,
        *,
        reward: float = 0.0,
        terminated: bool = False,
        truncated: bool = False,
    ) -> Step:
        self._obs = obs
        told = next((key for key in SUCCESS_KEYS if key in info), None)
        return Step(
            obs=obs,
            stamps=dict.fromkeys(obs, self._stamp_ns),
            state=None,
            executed=executed,
            commanded=commanded,
            stage=LimitStage.FAULT if self._fault else LimitStage.NONE,
            reward=reward,
            success=-1 if told is None else int(bool(info[told])),
            terminated=terminated,
            truncated=truncated,
            fault=self._fault,
            stamp_ns=self._stamp_ns,
            action_stamp_ns=before_ns,
            boot_id=self._boot_id,
        )

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
