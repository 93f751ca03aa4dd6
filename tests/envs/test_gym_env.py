"""Registered Gymnasium environments behind the project's interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from robot_rl.envs.gym_env import GymEnv
from robot_rl.errors import ConfigError, PoisonedDataError, SpecError
from robot_rl.testing.check_env import check_env

IMAGE = spaces.Box(0, 255, (6, 5, 3), np.uint8)
MIXED = spaces.Dict(
    {
        "eye": IMAGE,
        "body": spaces.Tuple((spaces.Box(-1, 1, (2, 2)), spaces.Discrete(3))),
        "deep": spaces.Dict({"eye": IMAGE, "flag": spaces.MultiBinary(2)}),
    }
)


class Toy(gymnasium.Env[Any, Any]):
    """Samples its observations, keeps the actions it is given."""

    def __init__(
        self,
        observation: spaces.Space[Any] = MIXED,
        action: spaces.Space[Any] | None = None,
        reward: float = 1.0,
        told: dict[str, Any] | None = None,
        observed: Any = None,
    ) -> None:
        self.observation_space = observation
        low, high = np.array([-2.0, 0.0], np.float32), np.array([2.0, 10.0], np.float32)
        self.action_space = action or spaces.Box(low, high)
        self.reward, self.told, self.observed = reward, told or {}, observed
        self.actions: list[Any] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.actions.append(action)
        obs = self.observation_space.sample() if self.observed is None else self.observed
        return obs, self.reward, False, False, self.told


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register("Toy-v0", entry_point=Toy, max_episode_steps=20)
    yield
    gymnasium.registry.pop("Toy-v0")


def toy(**kwargs: Any) -> GymEnv:
    return GymEnv("Toy-v0", kwargs=kwargs)


@pytest.mark.parametrize("id", ["Pendulum-v1", "MountainCarContinuous-v0", "Toy-v0"])
def test_conformance(id: str) -> None:
    check_env(GymEnv(id))


def test_actions_are_rescaled_and_clipped() -> None:
    env = toy()
    env.reset(seed=0)
    for action, native in (([-1, -1], [-2, 0]), ([0, 1], [0, 10]), ([5, 0.5], [2, 7.5])):
        now = env.step(np.array(action, np.float32))
        np.testing.assert_allclose(now.commanded, native)
        np.testing.assert_allclose(now.executed, np.clip(action, -1, 1))
        np.testing.assert_allclose(env._inner.unwrapped.actions[-1], native)  # type: ignore[attr-defined]
    assert env.spec.action_scale == (2.0, 5.0)


def test_observations_are_flattened_and_images_kept() -> None:
    env = toy()
    assert env.spec.image_keys == ("deep.eye", "eye")
    assert env.spec.state_layout == (("body.0", 4), ("body.1", 3), ("deep.flag", 2))
    obs = env.reset(seed=0).obs
    assert set(obs) == {"deep.eye", "eye", "state"}
    assert obs["state"].shape == (9,)
    assert obs["state"][4:7].sum() == 1.0  # one-hot
    assert obs["eye"].dtype == np.uint8


def test_an_image_alone_needs_no_state() -> None:
    assert toy(observation=IMAGE).spec.vector_keys == ()


def test_success_is_what_the_environment_says_or_not_judged() -> None:
    for told, success in (({}, -1), ({"is_success": 1.0}, 1), ({"success": np.False_}, 0)):
        env = toy(told=told)
        env.reset(seed=0)
        assert env.step(np.zeros(2, np.float32)).success == success


def test_the_time_limit_can_be_replaced() -> None:
    env = GymEnv("Toy-v0", max_steps=3)
    env.reset(seed=0)
    steps = [env.step(np.zeros(2, np.float32)) for _ in range(3)]
    assert [(step.terminated, step.truncated) for step in steps] == [
        (False, False),
        (False, False),
        (False, True),
    ]


def test_stamps_count_simulated_time() -> None:
    env = GymEnv("Pendulum-v1")
    assert env.spec.rate_hz == pytest.approx(20.0)
    env.reset(seed=0)
    now = env.step(np.zeros(1, np.float32))
    assert (now.action_stamp_ns, now.stamp_ns) == (0, 50_000_000)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (spaces.Discrete(3), "Discrete actions"),
        (spaces.MultiDiscrete([2, 2]), "MultiDiscrete actions"),
        (spaces.Dict({"a": spaces.Box(-1, 1, (1,))}), "Dict actions"),
        (spaces.Box(-np.inf, np.inf, (2,)), "unbounded actions"),
        (spaces.Box(np.zeros(1, np.float32), np.full(1, np.inf, np.float32)), "unbounded actions"),
        (spaces.Box(0, 5, (2,), np.int32), "int32 actions"),
        (spaces.Box(1.0, 1.0, (2,)), "actions Box.*without room"),
    ],
)
def test_actions_that_cannot_be_trained_are_refused(action: spaces.Space[Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=f"env.id='Toy-v0' has {reason}.*valid: a Box") as caught:
        toy(action=action)
    assert "\n" not in str(caught.value)


def test_observations_that_cannot_be_stored_are_refused() -> None:
    space = spaces.Dict({"words": spaces.Text(4)})
    with pytest.raises(ConfigError, match="'words' is a Text; valid: Box"):
        toy(observation=space)


@pytest.mark.parametrize(
    ("id", "hint"),
    [
        ("Pendulm-v1", "did you mean 'Pendulum-v1'"),
        ("no_such_module:Thing-v0", "no_such_module"),
        ("CartPole-v1", "Discrete actions"),
    ],
)
def test_unknown_and_untrainable_ids_are_refused(id: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        GymEnv(id)


def test_wrong_keyword_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot be made.*speed"):
        toy(speed=3)


def test_nan_is_refused_on_every_way() -> None:
    env = toy()
    env.reset(seed=0)
    with pytest.raises(PoisonedDataError, match="action"):
        env.step(np.array([np.nan, 0.0], np.float32))
    with pytest.raises(SpecError, match=r"valid: \(2,\)"):
        env.step(np.zeros(3, np.float32))
    assert env._inner.unwrapped.actions == []  # type: ignore[attr-defined]
    poisoned = toy(reward=float("nan"))
    poisoned.reset(seed=0)
    with pytest.raises(PoisonedDataError, match="reward nan"):
        poisoned.step(np.zeros(2, np.float32))
    box = spaces.Box(-1, 1, (2,))
    blind = toy(observation=box, observed=np.array([0.0, np.nan], np.float32))
    blind.reset(seed=0)
    with pytest.raises(PoisonedDataError, match="observation"):
        blind.step(np.zeros(2, np.float32))
