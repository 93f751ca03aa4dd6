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
    check_hold,
    check_refusals,
    check_rollout,
    check_spec,
    check_trip,
)
from robot_rl.testing.fakes import FakeTask, fake_bundle


def env() -> RobotEnv:
    return RobotEnv(fake_bundle(), FakeTask())


class Wrong:
    """An environment with one thing replaced."""

    def __init__(self, **replaced: Any) -> None:
        self._inner = env()
        self.__dict__.update({"spec": self._inner.spec, **replaced})
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def step(self, action: Any) -> Any:
        self.count += 1
        return self.changed(self._inner.step(action))

    def changed(self, result: Any) -> Any:
        return result


def with_field(key: str, value: Any) -> type[Wrong]:
    class Changed(Wrong):
        def changed(self, result: Any) -> Any:
            return replace(result, **{key: value})

    return Changed


class Noisy(Wrong):
    def changed(self, result: Any) -> Any:
        result.obs["state"][0] += 1e-6 * self.count
        return result


class Reusing(Wrong):
    def reset(self, seed: int) -> Any:
        step = self._inner.reset(seed)
        self.buffer = step.obs["state"]
        return step

    def changed(self, result: Any) -> Any:
        self.buffer[:] = result.obs["state"]
        return replace(result, obs={"state": self.buffer})


class Endless(Wrong):
    def changed(self, result: Any) -> Any:
        return replace(result, terminated=False, truncated=False)


class Both(Wrong):
    def changed(self, result: Any) -> Any:
        return replace(result, terminated=True, truncated=True)


class Deaf(Wrong):
    """A stop that nobody hears."""

    def trip(self, reason: str) -> None:
        pass


class Forgetful(Wrong):
    """A reset that clears a person's stop."""

    def reset(self, seed: int) -> Any:
        self._inner.rearm()
        return self._inner.reset(seed)


class Zeros(Wrong):
    """Takes zeros for the action that keeps the setpoint."""

    def hold(self) -> Any:
        return np.zeros(7, np.float32)


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
    spec = env().spec
    with pytest.raises(SpecError, match="valid: float32 in"):
        check_spec(Wrong(spec=replace(spec, action=replace(spec.action, high=2.0))))
    with pytest.raises(SpecError, match="state_layout adds up"):
        check_spec(Wrong(spec=replace(spec, state_layout=(("a", 3),))))
    with pytest.raises(SpecError, match="action_scale has 1"):
        check_spec(Wrong(spec=replace(spec, action_scale=(1.0,))))


def test_what_is_no_environment_is_told_what_it_lacks() -> None:
    with pytest.raises(SpecError, match=r"Toy has no close, encode, .*trip"):
        check_env(type("Toy", (), {"reset": None, "step": None})())


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("stamps", {}, "stamps of"),
        ("executed", np.full(7, 1.5, np.float32), "executed"),
        ("executed", np.zeros(7), "float64"),
        ("commanded", np.zeros(7, np.float32), "commanded"),
        ("boot_id", -5, "boot_id changed"),
        ("action_stamp_ns", 7, "action stamp 7"),
    ],
)
def test_a_wrong_step_is_found(key: str, value: Any, hint: str) -> None:
    with pytest.raises(SpecError, match=hint):
        check_rollout(with_field(key, value)(), 0, 5)


def test_reused_arrays_are_found() -> None:
    with pytest.raises(SpecError, match="overwritten"):
        check_rollout(Reusing(), 0, 5)


def test_chance_beside_the_seed_is_found() -> None:
    with pytest.raises(SpecError, match="step 0: state differs"):
        check_determinism(Noisy(), 0, 5)


def test_an_executed_action_that_is_not_is_found() -> None:
    with pytest.raises(SpecError, match="an action near hold"):
        check_executed(with_field("executed", np.full(7, 0.5, np.float32))(), 0)


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


def test_a_stop_that_is_not_obeyed_is_found() -> None:
    with pytest.raises(SpecError, match="after trip: fault ''"):
        check_trip(Deaf(), 0)
    with pytest.raises(SpecError, match="cleared a person's stop"):
        check_trip(Forgetful(), 0)


def test_zeros_that_half_open_a_gripper_are_found() -> None:
    with pytest.raises(SpecError, match="the action that holds"):
        check_hold(Zeros(), 0)
