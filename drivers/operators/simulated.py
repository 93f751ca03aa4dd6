"""A person in the loop who is a program: watches, steps in late, errs, hands back. For experiments
and tests that need interventions and nobody to make them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from robot_rl.drivers.operators.help_rules import ProgressRule, ValueRule
from robot_rl.errors import ConfigError
from robot_rl.types import Array, Context, OperatorSample, Step

GAP_NS = 1_000_000_000
"""Two readings further apart in the robot's clock belong to two episodes."""


class SimulatedOperator:
    """Implements `Operator`: steps in by `ValueRule` where the policy's plans carry a value, else
    by `ProgressRule`, and acts as the task's scripted expert with a person's failings.

    expert: the expert's action (dim,) for the present state of the environment.
    motion, grippers: indices of the action that are judged, each set apart.
    share: of the expert's way over `window` steps, below which it steps in (ProgressRule).
    value_share, expert_steps, discount: see `ValueRule`.
    delay_ms: from what is seen to hands on, in the robot's clock.
    at_least, at_most: steps of one intervention; between them it hands back once the policy's last
    `agree` proposals went at least `share` of the expert's way.
    skill: share of stretches of `stretch` steps that it acts as the expert does; in the others it
    goes one wrong way. noise: standard deviation on its actions (clipped to [-1, 1]).
    """

    def __init__(
        self,
        expert: Callable[[], Array],
        *,
        motion: tuple[int, ...] = (0, 1, 2, 3, 4, 5),
        grippers: tuple[int, ...] = (),
        share: float = 0.3,
        window: int = 8,
        value_share: float = 0.5,
        expert_steps: int = 40,
        discount: float = 0.97,
        delay_ms: float = 200.0,
        at_least: int = 5,
        at_most: int = 30,
        agree: int = 3,
        skill: float = 0.9,
        stretch: int = 5,
        noise: float = 0.1,
        seed: int = 0,
    ) -> None:
        """Raises ConfigError on shares outside [0, 1] and counts below 1."""
        for name, ratio in {"share": share, "value_share": value_share, "skill": skill}.items():
            if not 0.0 <= ratio <= 1.0:
                raise ConfigError(f"teleop.{name}={ratio}; valid: 0 … 1")
        counts = {"window": window, "at_least": at_least, "agree": agree, "stretch": stretch}
        for name, count in counts.items():
            if count < 1:
                raise ConfigError(f"teleop.{name}={count}; valid: 1 or more")
        if at_most < at_least:
            raise ConfigError(f"teleop.at_most={at_most}; valid: at_least ({at_least}) or more")
        parts = [part for part in (motion, grippers) if part]
        self._expert, self._motion = expert, list(motion)
        self._watched = ProgressRule(share, window, parts)
        self._proposals = ProgressRule(share, agree, parts)
        self._value = ValueRule(value_share, expert_steps, discount)
        self._delay_ns, self._bounds = round(delay_ms * 1e6), (at_least, at_most)
        self._agree, self._skill, self._stretch, self._noise = agree, skill, stretch, noise
        self._rng = np.random.default_rng(seed)
        self._last: Step | None = None
        self._wanted: Array | None = None
        self._wrong: Array | None = None
        self._acting, self._index, self._acted, self._noticed_ns = False, 0, 0, -1

    def read(self, context: Context) -> OperatorSample | None:
        """Hands off, or the expert's action as this person would do it."""
        step = context.step
        if step is None:
            return None
        last = self._last
        if (
            last is None
            or last.boot_id != step.boot_id
            or (not 0 <= step.stamp_ns - last.stamp_ns < GAP_NS)
        ):
            self._begin()
        self._last = step
        wanted = np.asarray(self._expert(), np.float32)
        if self._wanted is not None:
            self._watched.saw(step.executed, self._wanted)
        self._wanted = wanted
        self._decide(context, step, wanted)
        self._index += 1
        if not self._acting:
            return None
        return OperatorSample(self._act(wanted), time.monotonic_ns())

    def stopped(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing to free."""

    def _begin(self) -> None:
        """A new episode: watches."""
        self._watched.clear()
        self._wanted = self._wrong = None
        self._acting, self._index, self._acted, self._noticed_ns = False, 0, 0, -1

    def _decide(self, context: Context, step: Step, wanted: Array) -> None:
        """Hands on, or off, from this step on."""
        if self._acting:
            if context.proposal is not None:
                self._proposals.saw(context.proposal, wanted)
            if self._hands_back():
                self._acting, self._noticed_ns = False, -1
                self._watched.clear()
            return
        if self._noticed_ns < 0 and self._behind(context):
            self._noticed_ns = step.stamp_ns
        if self._noticed_ns >= 0 and step.stamp_ns - self._noticed_ns >= self._delay_ns:
            self._acting, self._acted = True, 0
            self._proposals.clear()

    def _behind(self, context: Context) -> bool:
        if np.isfinite(context.value):
            return self._value.behind(context.value, self._index)
        return self._watched.behind

    def _hands_back(self) -> bool:
        at_least, at_most = self._bounds
        if self._acted < at_least:
            return False
        return self._acted >= at_most or self._proposals.ahead

    def _act(self, wanted: Array) -> Array:
        """(dim,) float32: what this person does now."""
        if self._acted % self._stretch == 0:
            self._wrong = self._astray() if self._rng.random() >= self._skill else None
        self._acted += 1
        action = wanted.copy()
        if self._wrong is not None:
            action[self._motion] = self._wrong
        action += self._rng.normal(0.0, self._noise, action.shape).astype(np.float32)
        return action.clip(-1.0, 1.0)

    def _astray(self) -> Array:
        """One wrong way, half as fast as the robot can go: (motion,) float32."""
        way = self._rng.normal(size=len(self._motion))
        way[3:] *= 0.3  # a hand that errs does not spin
        return (0.5 * way / np.abs(way).max()).astype(np.float32)
