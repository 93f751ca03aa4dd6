"""The conformance checks find what they look for: each planted bug fails its check."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.testing.check_env import (
    check_determinism,
    check_end,
    check_env,
    check_executed,
    check_refusals,
    check_rollout,
    check_spec,
)
from robot_rl.testing.fakes import FakeTask, fake_bundle


def env() -> RobotEnv:
    return RobotEnv(fake_bundle(), FakeTask())


class Wrong:
    """An environment with one thing replaced."""

    def __init__(self, **replaced: Any) -> None:
        self._inner = env()
        self.__dict__.update(replaced)
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def step(self, action: Any) -> Any:
        self.count += 1
        return self.changed(self._inner.step(action))

    def changed(self, result: Any) -> Any:
        return result


def with_info(key: str, value: Any) -> type[Wrong]:
    class Changed(Wrong):
        def changed(self, result: Any) -> Any:
            result[4][key] = value
            return result

    return Changed


class Noisy(Wrong):
    def changed(self, result: Any) -> Any:
        result[0]["state"][0] += 1e-6 * self.count
        return result


class Reusing(Wrong):
    def reset(self, **kwargs: Any) -> Any:
        obs, info = self._inner.reset(**kwargs)
        self.buffer = obs["state"]
        return {"state": self.buffer}, info

    def changed(self, result: Any) -> Any:
        self.buffer[:] = result[0]["state"]
        return ({"state": self.buffer}, *result[1:])


class Endless(Wrong):
    def changed(self, result: Any) -> Any:
        return (result[0], result[1], False, False, result[4])


class Both(Wrong):
    def changed(self, result: Any) -> Any:
        return (result[0], result[1], True, True, result[4])


class Careless(Wrong):
    """Clips, as if that stopped NaN."""

    def step(self, action: Any) -> Any:
        return self._inner.step(np.nan_to_num(action))


class MovesFirst(Wrong):
    """Refuses NaN when it is too late."""

    def step(self, action: Any) -> Any:
        if not np.isfinite(action).all():
            self._inner.step(np.ones(7, np.float32))
            raise PoisonedDataError("late")
        return self._inner.step(action)


def test_a_sound_environment_passes() -> None:
    check_env(env())


def test_a_spec_that_lies_is_found() -> None:
    spec = env().data_spec
    with pytest.raises(SpecError, match="action space"):
        check_spec(Wrong(data_spec=replace(spec, action=replace(spec.action, shape=(6,)))))
    with pytest.raises(SpecError, match="state_layout adds up"):
        check_spec(Wrong(data_spec=replace(spec, state_layout=(("a", 3),))))
    with pytest.raises(SpecError, match="action_scale has 1"):
        check_spec(Wrong(data_spec=replace(spec, action_scale=(1.0,))))
    camera = replace(spec.observation[0], name="eye")
    with pytest.raises(SpecError, match="observation space has"):
        check_spec(Wrong(data_spec=replace(spec, observation=(camera,))))


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("executed", np.full(7, 1.5, np.float32), "executed"),
        ("executed", np.zeros(7), "float64"),
        ("commanded", np.zeros(7, np.float32), "commanded"),
        ("boot_id", -5, "boot_id changed"),
        ("action_stamp_ns", 7, "action stamp 7"),
    ],
)
def test_wrong_info_is_found(key: str, value: Any, hint: str) -> None:
    with pytest.raises(SpecError, match=hint):
        check_rollout(with_info(key, value)(), 0, 5)


def test_reused_arrays_are_found() -> None:
    with pytest.raises(SpecError, match="overwritten"):
        check_rollout(Reusing(), 0, 5)


def test_chance_beside_the_seed_is_found() -> None:
    with pytest.raises(SpecError, match="step 0: state differs"):
        check_determinism(Noisy(), 0, 5)


def test_an_executed_action_that_is_not_is_found() -> None:
    with pytest.raises(SpecError, match="small action"):
        check_executed(with_info("executed", np.full(7, 0.5, np.float32))(), 0)


def test_taking_nan_is_found() -> None:
    with pytest.raises(SpecError, match="action with nan was taken"):
        check_refusals(Careless(), 0)
    with pytest.raises(SpecError, match="nothing moves"):
        check_refusals(MovesFirst(), 0)


def test_endings_that_are_wrong_are_found() -> None:
    with pytest.raises(SpecError, match="no episode ended"):
        check_end(Endless(), 0, 50)
    with pytest.raises(SpecError, match="at once"):
        check_end(Both(), 0, 50)
