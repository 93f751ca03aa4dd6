"""Joins robots, tasks and environments by resolving `_target_` from local configs.

Only the command line, the Gymnasium entry point and launch scripts use it; nothing imports it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from robot_rl.config import build, config_file, load_config, plain, section, target_class
from robot_rl.errors import ConfigError, SpecError
from robot_rl.interfaces import Bundle, Policy, TeleopDevice
from robot_rl.specs import EnvSpec

DRIVER = "robot_rl.drivers.remote.launch.make"


def make_env(cfg: DictConfig, *, real_time: bool = False, render_mode: str | None = None) -> Any:
    """The environment of a composed config: `env.data_spec` is its EnvSpec."""
    where = config_file(cfg, "env")
    if "id" in cfg.env:
        return build(cfg.env, where, render_mode=render_mode)
    task = build(cfg.task, config_file(cfg, "task"))
    robot_node = plain(cfg.robot)
    cameras = plain(cfg.camera)["names"]
    if real_time:
        robot_node["real_time"] = True
    bundle = make_robot(robot_node, config_file(cfg, "robot"))
    return build(
        cfg.env,
        where,
        bundle=bundle,
        task=task,
        cameras=tuple(cameras),
        render_mode=render_mode,
    )


def make_robot(node: dict[str, Any], where: str) -> Bundle:
    """The robot and world of a robot's config: here, or with `driver` settings in a driver process
    of its own."""
    driver = node.pop("driver", None)
    if driver is None:
        bundle: Bundle = build(node, where)
        return bundle
    if not isinstance(driver, dict):
        raise ConfigError(
            f"{where}: driver: {driver!r}; valid: null, or settings as {{pacing: free}}"
        )
    make = target_class({"_target_": DRIVER}, where)
    remote: Bundle = make(node, where, **driver)
    return remote


def make_policy(cfg: DictConfig, spec: EnvSpec, *, seed: int) -> Policy:
    """The acting half of the configured agent."""
    policy: Policy = build(cfg.agent.policy, config_file(cfg, "agent"), spec=spec, seed=seed)
    return policy


def make_agent(cfg: DictConfig, spec: EnvSpec, *, seed: int) -> Any:
    """The learning half of the configured agent."""
    return build(cfg.agent.learner, config_file(cfg, "agent"), spec=spec, seed=seed)


def agent_name(cfg: DictConfig) -> str:
    """The learner's `_target_`: what a checkpoint says it belongs to."""
    return str(section(section(cfg, "agent"), "learner").get("_target_"))


def make_teleop(cfg: DictConfig, env: Any) -> TeleopDevice:
    """The configured device; a scripted one gets the environment's expert."""
    where = config_file(cfg, "teleop")
    given: dict[str, Any] = {"action_dim": env.data_spec.action_dim}
    if hasattr(env, "expert_action"):
        given["expert"] = env.expert_action
    elif "expert" in target_parameters(cfg.teleop, where):
        raise ConfigError(f"{where}: this environment has no scripted expert to take over")
    device: TeleopDevice = build(cfg.teleop, where, **given)
    return device


def target_parameters(node: DictConfig, where: str) -> Sequence[str]:
    """Parameter names of a node's target."""
    return list(inspect.signature(target_class(plain(node), where)).parameters)


def check_same_spec(mine: EnvSpec, theirs: EnvSpec, what: str) -> None:
    """SpecError listing the differences, if there are any."""
    differences = mine.differences(theirs)
    if differences:
        raise SpecError(
            f"{what} was made with another specification (this run != it): "
            + "; ".join(differences)
        )


def make_registered(
    task: str,
    robot: str = "fr3_sim",
    camera: str = "none",
    overrides: Sequence[str] = (),
    folders: Sequence[str] = (),
    render_mode: str | None = None,
) -> Any:
    """`gymnasium.make("robot_rl/PickCube-v0", overrides=["task.max_steps=80"])`."""
    choices = [f"task={task}", f"robot={robot}", f"camera={camera}", *overrides]
    cfg = load_config(choices, folders=[Path(folder) for folder in folders])
    return make_env(cfg, render_mode=render_mode)
