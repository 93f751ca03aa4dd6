"""Every task and environment that ships as a config passes the conformance checks."""

from __future__ import annotations

import inspect
from importlib import resources

import pytest

from robot_rl.config import load_config, plain, target_class
from robot_rl.envs.gym_env import GymEnv
from robot_rl.factory import make_env
from robot_rl.testing.check_env import check_env

TASKS = sorted(
    entry.name.removesuffix(".yaml")
    for entry in resources.files("robot_rl.configs").joinpath("task").iterdir()
    if entry.name.endswith(".yaml")
)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_config_conforms(task: str) -> None:
    check_env(make_env(load_config([f"task={task}"])))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_config_lists_every_setting_with_its_default(task: str) -> None:
    node = plain(load_config([f"task={task}"]).task)
    parameters = inspect.signature(target_class(node, task)).parameters
    defaults = {name: p.default for name, p in parameters.items()}
    listed = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in node.items()
        if key != "_target_"
    }
    assert listed == defaults


def test_the_gym_config_conforms() -> None:
    check_env(make_env(load_config(["env=gym", "env.id=Pendulum-v1"])))


def test_keyword_arguments_of_gymnasium_reach_it() -> None:
    cfg = load_config(["env=gym", "env.id=Pendulum-v1", "+env.kwargs.g=1.5"])
    env = make_env(cfg)
    assert isinstance(env, GymEnv)
    assert env._inner.unwrapped.g == 1.5  # type: ignore[attr-defined]


def test_action_settings_reach_the_environment() -> None:
    env = make_env(load_config(["env.action.axes=[x,y,z,gripper]", "env.action.frame=base"]))
    assert env.spec.action_dim == 4
    assert env.spec.action_frame == "base"


@pytest.mark.parametrize("action", ["twist", "pose"])
def test_every_action_config_conforms(action: str) -> None:
    check_env(make_env(load_config(["task=reach", f"env/action={action}"])))
