"""One look at an environment before anything is started with it: a reset, some steps, an end.

What is wrong raises one error that says what is valid; what is only odd is a line of the list that
comes back. `check_env` is the thorough one, for those who write environments.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.interfaces import RobotEnvironment
from robot_rl.specs import validate_observation
from robot_rl.types import Array

STEPS = 5
"""Random steps that every environment takes."""
LONGEST = 1000
PATIENCE_S = 5.0
"""An environment without a time limit must end an episode by itself within so many steps or s."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What a reset and some steps showed."""

    steps: int
    ended: bool
    judged: bool
    """Whether any step said success or failure."""
    notes: tuple[str, ...]


def first_look(env: RobotEnvironment, *, seed: int = 0) -> FirstLook:
    """Resets, takes random steps, and where there is no time limit goes on to an episode's end.

    Raises SpecError or PoisonedDataError on values that do not fit the specification, UserCodeError
    on what the environment raises, ConfigError where no episode ends.
    """
    spec = env.spec
    rng = np.random.default_rng(seed)
    limit = time_limit(env)
    validate_observation(env.reset(seed).obs, spec, "reset")
    ranges = _Ranges(env)
    ranges.note()
    count, done, judged, began = 0, False, False, time.monotonic()
    while not done and (count < STEPS or limit is None):
        action = rng.uniform(-1.0, 1.0, spec.action_dim).astype(np.float32)
        now = env.step(action)
        count += 1
        validate_observation(now.obs, spec, f"step {count}")
        ranges.note()
        judged = judged or now.success >= 0
        done = now.terminated or now.truncated
        if not done and (count >= LONGEST or time.monotonic() - began > PATIENCE_S):
            break
    if not done and limit is None:
        raise ConfigError(
            f"{spec.name}: no episode ended in {count} random steps, and it has no time limit; "
            "valid: env.max_steps=<steps of an episode>"
        )
    return FirstLook(count, done, judged, tuple(ranges.lines()))


def time_limit(env: RobotEnvironment) -> int | None:
    """Steps of the longest episode; None where nothing says so."""
    limit: int | None = getattr(env, "time_limit", env.max_steps)
    return limit


class _Ranges:
    """Values of a foreign environment's observation beside the bounds of its space."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._beyond: dict[str, str] = {}

    def note(self) -> None:
        """Looks at the newest observation."""
        for part in getattr(self._env, "parts", ()):
            low, high = getattr(part.space, "low", None), getattr(part.space, "high", None)
            if part.shape is not None or low is None or high is None or part.name in self._beyond:
                continue
            value: Array = np.asarray(part.look_up(self._env.native_observation), np.float64)
            slack = 1e-5 * np.maximum(1.0, np.abs(value))
            if (value < low - slack).any() or (value > high + slack).any():
                self._beyond[part.name] = (
                    f"'{part.name}' has {value.min():.4g} … {value.max():.4g}, its space says "
                    f"{float(np.min(low)):.4g} … {float(np.max(high)):.4g}"
                )

    def lines(self) -> list[str]:
        return list(self._beyond.values())
