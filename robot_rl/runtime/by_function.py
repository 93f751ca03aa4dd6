"""A user's policy as what records demonstrations: `action(obs)`, `action(env)` or `action()`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.types import Array, Observation
from robot_rl.user_code import UserCode


def as_expert(env: Any, policy: Callable[..., Any]) -> Callable[[Observation], Array]:
    """The policy as a function of the observation that gives an action (dim,) in [-1, 1].

    A class is made first. A parameter called `env` is given the environment, any other one the
    observation. In a foreign environment (`GymEnv`) both, and the action, are its own: what it
    observes, and actions in its own units and bounds. UserCodeError on what the policy raises.
    """
    name = getattr(policy, "__qualname__", type(policy).__name__)
    what = f"policy {name}"
    if inspect.isclass(policy):
        made: Any = policy
        with UserCode(what):
            policy = made()
    names = parameters_of(policy, what)
    foreign = hasattr(env, "from_native")

    def act(obs: Observation) -> Array:
        given: tuple[Any, ...] = ()
        if names and names[0] == "env":
            given = (env.native if foreign else env,)
        elif names:
            given = (env.native_observation if foreign else obs,)
        with UserCode(what):
            action = policy(*given)
        if foreign and names:
            return checked(env.from_native(action))
        return checked(action)

    def checked(action: Any) -> Array:
        vector = np.asarray(action, np.float32)
        dim = env.spec.action_dim
        if vector.shape != (dim,):
            raise SpecError(f"{what} gave an action of shape {vector.shape}; valid: ({dim},)")
        if not np.isfinite(vector).all():
            raise PoisonedDataError(f"{what} gave {vector}; valid: finite")
        return vector

    return act


def parameters_of(policy: Any, what: str) -> list[str]:
    """Names of the positional parameters that must be given; ConfigError where there are more
    than one."""
    if not callable(policy):
        raise ConfigError(f"{what} cannot be called; valid: a function or a class with __call__")
    parameters = inspect.signature(policy).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in positional if p.default is p.empty]
    if len(needed) > 1:
        raise ConfigError(f"{what} needs {', '.join(needed)}; valid: obs, env, or nothing")
    return needed
