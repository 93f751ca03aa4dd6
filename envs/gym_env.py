"""Any Gymnasium environment with bounded actions, registered or made by the caller.

Actions are rescaled to [-1, 1]. Images of any common layout become height x width x channels; all
else of the observation is flattened and joined into one "state" vector (see gym_spaces).
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from ctypes.util import find_library
from typing import Annotated, Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from msgspec import Meta

from robot_rl.envs.gym_spaces import arrays_of, observe, parts_of
from robot_rl.errors import (
    ConfigError,
    PoisonedDataError,
    RobotFault,
    SpecError,
    UserCodeError,
    suggest,
)
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.timing import NS
from robot_rl.types import Array, Command, LimitStage, Step
from robot_rl.user_code import UserCode

SUCCESS_KEYS = ("is_success", "success")
DEFAULT_MAX_STEPS = 1000
"""Where nothing says a time limit: the environment must end its episodes by itself."""
Wrapper: TypeAlias = Callable[[Any], Any]


class GymEnv:
    """Implements `RobotEnvironment` without a robot, by a gymnasium environment.

    env = GymEnv("Pendulum-v1")
    step = env.reset(seed=0)
    step = env.step(action)                              # action (dim,) in [-1, 1]

    Stamps count steps in simulated time (`dt`, else the render rate, else one second a step); each
    episode is a time base of its own, named from the seed, so that equal seeds give equal stamps.
    Success is `info["is_success"]` or `info["success"]`; -1 where the environment says neither.
    What the environment itself raises comes out as a UserCodeError that names the call.
    """

    def __init__(
        self,
        id: str | gymnasium.Env[Any, Any],
        *,
        kwargs: dict[str, Any] | None = None,
        max_steps: Annotated[int, Meta(ge=1)] | None = None,
        wrappers: Sequence[Wrapper] = (),
        reset_options: dict[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        """`id` is a registered id, or an environment that was made already.

        `kwargs` go to `gymnasium.make`; `max_steps` replaces the time limit; `wrappers` are called
        with the environment, the first one innermost; `reset_options` go to each reset. Raises
        ConfigError when the id is unknown or the environment cannot be trained.
        """
        made = _make(id, dict(kwargs or {}), max_steps, render_mode) if isinstance(id, str) else id
        name = id if isinstance(id, str) else _name_of(id)
        if not isinstance(id, str) and max_steps is not None:
            made = gymnasium.wrappers.TimeLimit(made, max_steps)
        for wrapper in wrappers:
            with UserCode(f"wrapper {_called(wrapper)} of '{name}'"):
                made = wrapper(made)
        self._inner = made
        self._what = f"env.id='{name}'"
        self.render_mode = render_mode
        self._reset_options = dict(reset_options) if reset_options else None
        self._action = _bounded_action(self._inner.action_space, self._what)
        self.parts = parts_of(self._inner.observation_space, self._what)
        extra = {"wrappers": [_called(w) for w in wrappers], "reset_options": reset_options}
        self.spec = self._make_spec(name, {"kwargs": kwargs or {}}, extra)
        self.max_steps = self.time_limit or DEFAULT_MAX_STEPS
        self._low = self._action.low.astype(np.float64).ravel()
        self._half = (self._action.high.astype(np.float64).ravel() - self._low) / 2
        self._idle = np.zeros(self.spec.action_dim, np.float32)
        self._period_ns = round(NS / (_rate(self._inner) or 1.0))
        self._stamp_ns = 0
        self._boot_id = 0
        self._fault = ""
        self._obs: dict[str, Array] | None = None
        self.native_observation: Any = None
        """The newest observation as the environment itself gave it."""

    @property
    def native(self) -> gymnasium.Env[Any, Any]:
        """The environment itself, without wrappers: its own attributes are there."""
        return self._inner.unwrapped

    @property
    def time_limit(self) -> int | None:
        """Steps after which an episode is cut; None where nothing says so."""
        env: Any = self._inner
        while env is not None:
            limit = getattr(env, "_max_episode_steps", None)
            if isinstance(limit, int) and limit > 0:
                return limit
            env = vars(env).get("env")
        limit = getattr(self._inner.spec, "max_episode_steps", None)
        return limit if isinstance(limit, int) and limit > 0 else None

    def from_native(self, action: Any) -> Array:
        """(dim,) in [-1, 1] of an action in the environment's own units, clipped to its bounds."""
        native = np.asarray(action, np.float64)
        if native.size != self._low.size:
            raise SpecError(
                f"{self._what}: an action of shape {native.shape}; valid: {self._action}"
            )
        return np.clip((native.ravel() - self._low) / self._half - 1.0, -1, 1).astype(np.float32)

    def reset(self, seed: int) -> Step:
        """RobotFault while a person's stop is latched."""
        if self._fault:
            raise RobotFault(f"{self._fault}; a person re-arms")
        with UserCode(f"{self._what}: reset"):
            answer = self._inner.reset(seed=seed, options=self._reset_options)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise SpecError(f"{self._what}: reset gave no (observation, info): is it of old Gym?")
        raw, info = answer
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
        with UserCode(f"{self._what}: step"):
            answer = self._inner.step(shaped)
        if not isinstance(answer, tuple) or len(answer) != 5:
            raise SpecError(
                f"{self._what}: step gave no (observation, reward, terminated, truncated, info)"
            )
        raw, reward, terminated, truncated, info = answer
        return self._step(
            self._observe(raw),
            info,
            executed.astype(np.float32),
            shaped.astype(np.float32).ravel(),
            before,
            reward=self._finite(reward),
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
        if self.render_mode is None:
            return None
        with UserCode(f"{self._what}: render"):
            return self._inner.render()

    def close(self) -> None:
        """Frees the environment; may be called twice."""
        with UserCode(f"{self._what}: close"):
            self._inner.close()

    def _finite(self, reward: Any) -> float:
        try:
            value = float(reward)
        except (TypeError, ValueError) as error:
            raise SpecError(f"{self._what}: reward {reward!r}; valid: a number") from error
        if not math.isfinite(value):
            raise PoisonedDataError(f"{self._what}: reward {value}; valid: finite")
        return value

    def _observe(self, raw: Any) -> dict[str, Array]:
        self.native_observation = raw
        return observe(self.parts, raw, self._what)

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
            success=-1 if told is None else int(np.all(info[told])),
            terminated=terminated,
            truncated=truncated,
            fault=self._fault,
            stamp_ns=self._stamp_ns,
            action_stamp_ns=before_ns,
            boot_id=self._boot_id,
        )

    def _make_spec(self, name: str, kwargs: Mapping[str, Any], extra: Mapping[str, Any]) -> EnvSpec:
        dim = int(np.prod(self._action.shape))
        half = (self._action.high.astype(np.float64) - self._action.low) / 2
        facts = {**kwargs, **{key: value for key, value in extra.items() if value}}
        return EnvSpec(
            name=name,
            observation=tuple(arrays_of(self.parts)),
            action=ArraySpec("action", (dim,), "float32", -1.0, 1.0),
            command_layout=(("action", dim),),
            rate_hz=_rate(self._inner),
            action_scale=tuple(half.ravel().tolist()),
            state_layout=tuple((p.name, p.width) for p in self.parts if p.shape is None),
            facts=tuple(
                (key, json.dumps(value, sort_keys=True, default=str))
                for key, value in facts.items()
            ),
        )


def _make(
    id: str, kwargs: dict[str, Any], max_steps: int | None, render_mode: str | None
) -> gymnasium.Env[Any, Any]:
    if ":" not in id and id not in gymnasium.registry:
        raise ConfigError(f"env.id='{id}' is not registered; {_near(id)}")
    draw_without_display()
    try:
        with UserCode(f"env.id='{id}': its constructor"), warnings.catch_warnings():
            # That there is no such mode comes out when it is to render, as "no video".
            warnings.filterwarnings("ignore", message=".*initialised with render_mode")
            return gymnasium.make(
                id,
                max_episode_steps=max_steps,
                disable_env_checker=True,
                **({"render_mode": render_mode} if render_mode else {}),
                **kwargs,
            )
    except UserCodeError as error:
        cause = error.__cause__
        if isinstance(cause, (gymnasium.error.Error, ImportError, TypeError)):
            missing = getattr(cause, "name", None) in ("mujoco", "imageio")
            hint = "; pip install 'gymnasium[mujoco]'" if missing else ""
            raise ConfigError(
                f"env.id='{id}' cannot be made: {' '.join(str(cause).split())}{hint}"
            ) from cause
        raise


def draw_without_display() -> None:
    """Has MuJoCo draw by EGL where there is no display; to be called before it is imported."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in displays):
        if find_library("EGL"):
            os.environ["MUJOCO_GL"] = "egl"


def _near(id: str) -> str:
    """The hint alone: the whole registry would fill a screen."""
    return suggest(id, gymnasium.registry).split(" valid:")[0] + " valid: a Gymnasium id"


def _bounded_action(space: spaces.Space[Any], what: str) -> spaces.Box:
    valid = "valid: a Box of floats with finite bounds"
    if not isinstance(space, spaces.Box):
        raise ConfigError(f"{what} has {type(space).__name__} actions; {valid}")
    if space.dtype is None or space.dtype.kind != "f":
        raise ConfigError(f"{what} has {space.dtype} actions; {valid}")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ConfigError(f"{what} has unbounded actions {space}; {valid}")
    if not (space.high > space.low).all() or not space.shape or 0 in space.shape:
        raise ConfigError(f"{what} has actions {space} without room; {valid}")
    return space


def _called(wrapper: Wrapper) -> str:
    """Module and name, of a partial those of its function."""
    function = getattr(wrapper, "func", wrapper)
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{function.__module__}.{name}"


def _name_of(env: gymnasium.Env[Any, Any]) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def _rate(env: gymnasium.Env[Any, Any]) -> float:
    """Steps a second of simulated time; 0 where the environment does not say."""
    dt = getattr(env.unwrapped, "dt", None)
    if isinstance(dt, (int, float)) and dt > 0:
        return 1.0 / float(dt)
    return float(env.metadata.get("render_fps", None) or 0.0)
