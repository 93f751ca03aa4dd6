"""Run a run's policy on a robot, with no learner: checks first, slowly the first time, and a log.

robot-rl deploy runs/reach robot=fr3 robot.address=172.16.0.2
robot-rl deploy runs/reach robot=fr3 robot.address=172.16.0.2 --episodes 20 teleop=keyboard
robot-rl deploy runs/reach robot=fr3_sim                 the twin, for comparison

Task, environment and agent are the run's; only robot.… and teleop.… may be given. The interface
(shapes, rate, action scale, what is judged) must be equal; gains and limits may differ and are
shown. Deployments of a run on a robot move at --first-speed of its speed limits until one at this
address has ended without a fault; a dry run does not count.
What came of it is in <run>/deploy/<robot>-<date>.json. Exit code 1 when a fault ended it.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import add_config_dir, add_trust, config_folders, settings_of
from robot_rl.commands.eval import newest_policy, show
from robot_rl.commands.trust import check_targets
from robot_rl.config import load_config
from robot_rl.errors import UNREADABLE, ConfigError, RobotFault
from robot_rl.factory import check_same_spec, make_env, make_judge, make_operator, make_policy
from robot_rl.report.statistics import wilson_interval
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.evaluator import EvaluationResult
from robot_rl.runtime.rundir import RunDir
from robot_rl.types import Purpose

MAY_CHANGE = ("robot", "teleop")
SPEEDS = ("velocity", "angular_velocity")


class Deployment(msgspec.Struct, frozen=True):
    """What one deployment came to."""

    run: str
    robot: str
    version: int
    speed: float
    """Share of the robot's speed limits."""
    plant: str
    """How this robot differs from the one that was trained on."""
    episodes: int
    successes: int
    interval_95: tuple[float, float]
    fault: str
    seeds: list[int]
    success: list[int]
    returns: list[float]
    lengths: list[int]
    takeovers: list[int]
    late_periods: int
    address: str
    """Of the robot; "" for one that has none."""
    dry_run: bool
    """Whether the robot was read and not commanded."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="robot.… and teleop.…")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="first reset seed (the run's own)")
    parser.add_argument("--step", type=int, default=None, help="snapshot to use (the newest)")
    parser.add_argument(
        "--speed",
        type=float,
        default=None,
        help="share of the speed limits (--first-speed, later 1)",
    )
    parser.add_argument(
        "--first-speed",
        type=float,
        default=0.3,
        help="the same, until one ended without a fault (0.3)",
    )
    add_config_dir(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    if options.episodes < 1:
        raise ConfigError(f"--episodes {options.episodes}; valid: 1 or more")
    folder = RunDir(options.run_dir)
    cfg = on_another_robot(folder.config(), options)
    if not options.trust:
        check_targets(cfg, folder.path, config_folders(options))
    settings = settings_of(cfg)
    robot = str(cfg.choices.robot)
    address, dry_run = str(cfg.robot.get("address") or ""), bool(cfg.robot.get("dry_run", False))
    speed = speed_of(options, folder.path, robot, address)
    slow_down(cfg, speed)
    steps, weights, version = newest_policy(folder, cfg, options.step)
    env = make_env(cfg)
    try:
        plant = check_same_spec(env.spec, folder.spec(), f"run {options.run_dir}")
        policy = make_policy(cfg, env.spec, seed=settings.seed)
        policy.load(weights, version)
        operator = make_operator(cfg, env)
        try:
            say(f"{robot} at {speed:.0%} of its speed limits", plant)
            rollout = Rollout(env, Inline(policy), operator, make_judge(cfg))
            seed = settings.evaluation.seed if options.seed is None else options.seed
            done, fault = drive(rollout, options.episodes, seed)
        finally:
            operator.close()
    finally:
        env.close()
    report = deployment(
        options, robot, speed, plant, done, seed, version, fault, rollout, address, dry_run
    )
    path = write(folder.path, report)
    result = EvaluationResult(version, report.seeds, report.success, report.returns, report.lengths)
    show(result, steps, False, options)
    say(f"log: {path}", f"ended by a fault: {fault}" if fault else "")
    return int(bool(fault))


def on_another_robot(cfg: DictConfig, options: argparse.Namespace) -> DictConfig:
    """The run's config with the robot that the overrides name (else its own) and their operator
    (else nobody); ConfigError for other keys."""
    for override in options.overrides:
        name = override.partition("=")[0].lstrip("+~").partition(".")[0]
        if name not in MAY_CHANGE:
            raise ConfigError(
                f"'{override}': a deployment keeps the run's {name}; valid: "
                f"{', '.join(f'{key}=…' for key in MAY_CHANGE)}"
            )
    given = load_config(options.overrides, folders=config_folders(options))
    OmegaConf.set_struct(cfg, False)
    for key in MAY_CHANGE:
        if key == "teleop" or any(word.startswith(key) for word in options.overrides):
            cfg[key] = given[key]
            cfg.choices[key] = given.choices[key]
    OmegaConf.set_struct(cfg, True)
    return cfg


def speed_of(options: argparse.Namespace, run_dir: Path, robot: str, address: str) -> float:
    """What was asked for; else slow until this robot at this address has moved without a fault."""
    if options.speed is not None:
        speed = options.speed
    else:
        speed = 1.0 if has_moved(run_dir, robot, address) else options.first_speed
    if not 0.0 < speed <= 1.0:
        raise ConfigError(f"--speed {speed}; valid: above 0, at most 1")
    return float(speed)


def has_moved(run_dir: Path, robot: str, address: str) -> bool:
    """Whether a whole deployment on this robot is logged: one that commanded it, of an episode or
    more, that no fault ended. A log that cannot be read, or is of an older version, counts as none.
    """
    for path in (run_dir / "deploy").glob("*.json"):
        try:
            log = msgspec.json.decode(path.read_bytes(), type=Deployment)
        except (OSError, ValueError, *UNREADABLE):
            continue
        same = (log.robot, log.address) == (robot, address)
        if same and log.episodes > 0 and not log.fault and not log.dry_run:
            return True
    return False


def slow_down(cfg: DictConfig, speed: float) -> None:
    """Scales the speed limits of the robot's safety layer."""
    for key in SPEEDS:
        if speed < 1.0 and OmegaConf.select(cfg.robot, key) is None:
            raise ConfigError(f"the robot's config has no {key} to reduce; valid: --speed 1")
        if speed < 1.0:
            cfg.robot[key] = float(cfg.robot[key]) * speed


def drive(rollout: Rollout, episodes: int, seed: int) -> tuple[list[Episode], str]:
    """The episodes that ended by themselves, and the fault that ended the deployment, if any."""
    done: list[Episode] = []
    for index in range(episodes):
        try:
            episode = rollout.episode(
                seed + index,
                policy_seed=seed + index,
                purpose=Purpose.EVALUATION,
                deterministic=True,
            )
        except RobotFault as error:
            return done, str(error)
        done.append(episode)
        verdict = {1: "success", 0: "no success"}.get(episode.success, "not judged")
        say(f"episode {index + 1}: {verdict}, {episode.steps} steps", episode.fault)
        if episode.fault:
            return done, episode.fault
    return done, ""


def deployment(
    options: argparse.Namespace,
    robot: str,
    speed: float,
    plant: str,
    done: list[Episode],
    seed: int,
    version: int,
    fault: str,
    rollout: Rollout,
    address: str,
    dry_run: bool,
) -> Deployment:
    successes = sum(episode.success == 1 for episode in done)
    judged = sum(episode.success >= 0 for episode in done)
    low, high = wilson_interval(successes, judged) if judged else (0.0, 1.0)
    return Deployment(
        run=str(options.run_dir),
        robot=robot,
        version=version,
        speed=speed,
        plant=plant,
        episodes=len(done),
        successes=successes,
        interval_95=(low, high),
        fault=fault,
        seeds=[seed + index for index in range(len(done))],
        success=[episode.success for episode in done],
        returns=[episode.episode_return for episode in done],
        lengths=[episode.steps for episode in done],
        takeovers=[episode.takeovers for episode in done],
        late_periods=rollout.late_periods,
        address=address,
        dry_run=dry_run,
    )


def write(run_dir: Path, report: Deployment) -> Path:
    """<run>/deploy/<robot>-<date>.json."""
    folder = run_dir / "deploy"
    folder.mkdir(exist_ok=True)
    path = folder / f"{report.robot}-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return path


def say(*lines: str) -> None:
    for line in filter(None, lines):
        print(line, file=sys.stderr, flush=True)
