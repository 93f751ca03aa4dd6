"""Policies for tests of whatever follows a plan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot_rl.errors import PoisonedDataError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, Observation, Plan


class PlannerOf:
    """Implements `Policy`: plans of `horizon` actions, each of which says which one it is.

    Action j of the plan made at step s is (s + j) / 1000 in every dimension, plus the version: so a
    test reads from an executed action which plan it came from and which place it had there. The
    value is the observation's first number; the seed counts plans. Weights: one array "bias".
    """

    def __init__(self, spec: EnvSpec, *, horizon: int = 8, seed: int = 0) -> None:
        self._dim, self._horizon = spec.action_dim, horizon
        self.version = self.plans = 0
        self._bias = 0.0
        self.seed: int | None = seed

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        bias = float(weights["bias"][0])
        if not np.isfinite(bias):
            raise PoisonedDataError(f"bias {bias}; valid: finite")
        self._bias, self.version = bias, version

    def reset(self, seed: int | None = None) -> None:
        self.seed = seed

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        self.plans += 1
        places = (step + np.arange(self._horizon)) / 1000.0 + self._bias
        actions = np.repeat(places[:, None], self._dim, axis=1).astype(np.float32)
        value = float(obs["state"][0])
        return Plan(
            actions,
            np.ones(self._horizon, bool),
            step,
            stamp_ns,
            self.version,
            value,
            self.plans,
        )
