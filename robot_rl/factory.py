"""Joins robots, tasks and environments by resolving `_target_` from local configs.

Only the command line, the Gymnasium entry point and launch scripts use it; nothing imports it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from robot_rl.config import build, config_file, load_config, plain, section, target_class
from robot_rl.errors import ConfigError, SpecError, suggest
from robot_rl.interfaces import (
    Agent,
    Bundle,
    Camera,
    Expert,
    Operator,
    Policy,
    RobotEnvironment,
    Schedule,
)
from robot_rl.rollout.judge import Judge, TaskJudge
from robot_rl.runtime.schedule import Run
from robot_rl.runtime.settings import RunSettings
from robot_rl.specs import EnvSpec

RUNTIME_NUMBERS = ("warmup_steps",)
"""Of `agent.replay`, what is the schedule's and not the agent's."""
GIVES_WEIGHTS = {"device": "cpu", "compile": False}
"""Of `agent.learner`, for an agent that updates nothing."""
ONLINE = "robot_rl.runtime.schedule.OnlineSchedule"
ADAPTER = "robot_rl.envs.gymnasium_adapter.GymnasiumAdapter"
ENVIRONMENT = tuple(name for name in dir(RobotEnvironment) if not name.startswith("_"))
"""What an environment must have."""
DRIVER = "robot_rl.drivers.remote.launch.make"


def make_env(
    cfg: DictConfig, *, real_time: bool = False, render_mode: str | None = None
) -> RobotEnvironment:
    """The environment of a composed config."""
    where = config_file(cfg, "env")
    if "id" in cfg.env:
        node = plain(cfg.env)
        wrappers = wrappers_of(node.pop("wrappers", None), where)
        made = build(node, where, render_mode=render_mode, wrappers=wrappers)
        return as_environment(made, where)
    task = build(cfg.task, config_file(cfg, "task"))
    robot_node = plain(cfg.robot)
    if real_time:
        robot_node["real_time"] = True
    made = build(
        cfg.env,
        where,
        bundle=make_robot(robot_node, config_file(cfg, "robot")),
        task=task,
        cameras=make_cameras(cfg),
        render_mode=render_mode,
    )
    return as_environment(made, where)


def wrappers_of(entries: Any, where: str) -> Sequence[Callable[[Any], Any]]:
    """What `env.wrappers` lists: names such as my_lab.wrap, or nodes with a `_target_` and keys."""
    if not isinstance(entries or [], list):
        raise ConfigError(f"{where}: wrappers is {entries!r}; valid: a list, such as [my_lab.Wrap]")
    wrappers = []
    for index, entry in enumerate(entries or []):
        node = {"_target_": entry} if isinstance(entry, str) else entry
        if not isinstance(node, dict):
            raise ConfigError(
                f"{where}: wrappers[{index}] is {entry!r}; valid: package.module.Name"
            )
        keys = {key: value for key, value in node.items() if key != "_target_"}
        wrappers.append(partial(target_class(node, f"{where}: wrappers[{index}]"), **keys))
    return wrappers


def make_cameras(cfg: DictConfig) -> dict[str, Camera | None]:
    """The configured cameras by name; None: the robot's world offers it."""
    where, node = config_file(cfg, "camera"), plain(cfg.camera)
    cameras: dict[str, Camera | None] = dict.fromkeys(node.pop("names", []))
    for name, device in node.items():
        cameras[name] = build(device, f"{where}: {name}", name=name)
    return cameras


def as_environment(made: Any, where: str) -> RobotEnvironment:
    """ConfigError where `made` lacks part of the protocol."""
    missing = [name for name in ENVIRONMENT if not hasattr(made, name)]
    if missing:
        raise ConfigError(
            f"{where}: {type(made).__name__} has no {', '.join(missing)}; valid: a "
            "RobotEnvironment (robot_rl/interfaces.py); a gymnasium.Env by its id, env=gym env.id=…"
        )
    environment: RobotEnvironment = made
    return environment


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


def make_agent(cfg: DictConfig, spec: EnvSpec, *, seed: int, learns: bool = True) -> Agent:
    """The learning half of the configured agent: `agent.learner` and the numbers of `agent.replay`
    that its sampling is made of; one that only gives weights runs on the CPU, nothing compiled.
    ConfigError on a number that it does not take."""
    where, agent = config_file(cfg, "agent"), section(cfg, "agent")
    node = plain(section(agent, "learner"))
    if not learns:
        node |= {key: value for key, value in GIVES_WEIGHTS.items() if key in node}
    if "normalize" in node:  # a run's config of an earlier version
        node["input_scaling"] = "standard" if node.pop("normalize") else "none"
    if node.get("input_scaling") == "auto":
        node["input_scaling"] = "log" if "id" in section(cfg, "env") else "none"
    numbers = {key: value for key, value in plain(section(agent, "replay")).items()
               if key not in RUNTIME_NUMBERS}  # fmt: skip
    valid = target_parameters(node, where)
    for key in numbers:
        if key not in valid:
            raise ConfigError(
                f"{where}: replay.{key} is no number of {node['_target_']}: {suggest(key, valid)}"
            )
    made: Agent = build(node | numbers, where, spec=spec, seed=seed)
    return made


def make_schedule(cfg: DictConfig, settings: RunSettings, warmup_steps: int) -> Schedule:
    """The schedule that the agent's YAML names: `agent.schedule`, or one block a step."""
    where, agent = config_file(cfg, "agent"), section(cfg, "agent")
    node = plain(agent["schedule"]) if "schedule" in agent else {"_target_": ONLINE}
    run = Run(
        steps=settings.steps,
        warmup_steps=warmup_steps,
        credit_window=settings.learner.credit_window,
        publish_every=settings.learner.publish_every,
        evaluate_every=settings.evaluation.every,
    )
    made: Schedule = build(node, where, run=run)
    return made


def agent_name(cfg: DictConfig) -> str:
    """The learner's `_target_`: what a checkpoint says it belongs to."""
    return str(section(section(cfg, "agent"), "learner").get("_target_"))


def make_operator(cfg: DictConfig, env: RobotEnvironment) -> Operator:
    """The configured operator; what takes `action_dim` or a scripted `expert` is given it."""
    where = config_file(cfg, "teleop")
    given: dict[str, Any] = {"action_dim": env.spec.action_dim}
    if isinstance(env, Expert):
        given["expert"] = env.expert_action
    several = cfg.teleop.get("operators")
    nodes = [cfg.teleop] if several is None else several
    for node in nodes:
        if "expert" not in given and "expert" in target_parameters(node, where):
            raise ConfigError(f"{where}: this environment has no scripted expert to take over")
    made: list[Operator] = [build(node, where, **given) for node in nodes]
    if several is None:
        return made[0]
    return build({"_target_": cfg.teleop._target_}, where, operators=made)


def make_judge(cfg: DictConfig) -> Judge:
    """Who says how an episode went; the task, where an earlier version's config does not say."""
    judge: Judge = build(cfg.judge, config_file(cfg, "judge")) if "judge" in cfg else TaskJudge()
    return judge


def target_parameters(node: DictConfig | Mapping[str, Any], where: str) -> Sequence[str]:
    """Parameter names of a node's target."""
    raw = plain(node) if isinstance(node, DictConfig) else node
    return list(inspect.signature(target_class(raw, where)).parameters)


def check_same_spec(mine: EnvSpec, theirs: EnvSpec, what: str) -> str:
    """How another plant differs, for people ("" where it does not); SpecError listing the
    differences of the interface, if there are any."""
    differences = mine.differences(theirs)
    if differences:
        raise SpecError(
            f"{what} was made with another specification (this run != it): "
            + "; ".join(differences)
        )
    plant = mine.plant_differences(theirs)
    return f"{what} has another plant (this run != it): {'; '.join(plant)}" if plant else ""


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
    return build(
        {"_target_": ADAPTER},
        "make_registered",
        environment=make_env(cfg, render_mode=render_mode),
        render_mode=render_mode,
    )
