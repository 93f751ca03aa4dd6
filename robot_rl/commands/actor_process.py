"""An actor's process: environment, policy, operator, and the link to its I/O process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from omegaconf import DictConfig

from robot_rl.commands.child_config import ActorConfig, PolicyConfig, child_command
from robot_rl.commands.common import settings_of
from robot_rl.commands.console import with_page
from robot_rl.errors import HandshakeError
from robot_rl.factory import make_env, make_judge, make_operator, make_policy
from robot_rl.interfaces import RobotEnvironment
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import BackgroundMetricsWriter, MetricsWriter
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.moments import Moments, NoMoments
from robot_rl.rollout.placement import Inline, Planner, PolicyProcess
from robot_rl.rollout.plans import PlanFollower
from robot_rl.rollout.stop_watch import StopWatcher
from robot_rl.runtime.actor import Actor
from robot_rl.runtime.actor_report import ActorReport
from robot_rl.runtime.evaluation import ActorEvaluation
from robot_rl.runtime.priority import ask_for_priority
from robot_rl.runtime.rearm import RearmPost
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.settings import RunSettings
from robot_rl.runtime.starts import StartStates
from robot_rl.timing import NS, MonotonicClock, Rate
from robot_rl.wire.actor_link import ActorLink


def run_actor(config: ActorConfig, stopping: Callable[[], bool]) -> None:
    """Acts until SIGTERM."""
    run_dir, runtime_dir, actor_id = config.path, Path(config.runtime_dir), config.actor
    folder = RunDir(run_dir)
    cfg = folder.config()
    settings = settings_of(cfg)
    epoch = secrets.randbits(62) | 1
    # Closed in reverse order, whatever one of them raises: the robot first of all.
    with ExitStack() as stack, ExitStack() as robot:
        metrics = stack.enter_context(
            BackgroundMetricsWriter(run_dir, actor_id, origin_s=config.origin_s)
        )
        starts = StartStates(run_dir / "spool" / f"{actor_id}.starts", settings.seed, actor_id)
        stack.callback(starts.close)
        environment = make_env(cfg, real_time=settings.actor.real_time)
        robot.callback(environment.close)
        link = ActorLink(runtime_dir, environment.spec, actor_id, epoch)
        stack.callback(link.close)
        operator, moments = make_operator(cfg, environment), NoMoments()
        if settings.console == "web":
            operator = with_page(operator, environment, runtime_dir, actor_id)
            moments = Moments(runtime_dir, actor_id, environment.spec)
        stack.callback(operator.close)
        stack.callback(moments.close)
        planner = make_planner(cfg, folder, environment, settings)
        stack.callback(planner.close)
        rollout = Rollout(
            environment,
            planner,
            operator,
            make_judge(cfg),
            link,
            moments,
            actor=actor_id,
            epoch=epoch,
            follower=PlanFollower(replan_every=settings.actor.replan_every),
            max_age_ns=round(settings.actor.operator_stale_ms * 1e6),
            slack_ns=round(settings.actor.policy_period_slack_ms * 1e6),
            wait_for_plans=settings.actor.wait == "step" and not settings.actor.real_time,
            pace=pace_of(cfg, environment, settings.actor.real_time),
        )
        actor = Actor(
            rollout=rollout,
            link=link,
            report=ActorReport(metrics, link, actor_id, str(run_dir)),
            starts=starts,
            post=RearmPost(runtime_dir, actor_id),
            wait=settings.actor.wait,
            evaluation=make_evaluation(settings, run_dir, metrics),
            finished=folder.finished.exists,
        )
        granted = ask_for_priority(fifo=settings.actor.fifo, nice=settings.actor.nice)
        metrics.event(f"{actor_id} started, {granted}")

        def ended() -> bool:
            if refusal := link.refusal():
                raise HandshakeError(refusal)
            return stopping()

        with StopWatcher(operator, environment):
            actor.run(ended)


def make_planner(
    cfg: DictConfig, folder: RunDir, environment: RobotEnvironment, settings: RunSettings
) -> Planner:
    """The policy in this process, or in one of its own (actor.policy=process)."""
    spec = environment.spec
    if settings.actor.policy == "inline":
        return Inline(make_policy(cfg, spec, seed=settings.seed))

    def command(descriptor: int) -> list[str]:
        return child_command(PolicyConfig(str(folder.path), descriptor))

    return PolicyProcess(command, spec)


def make_evaluation(
    settings: RunSettings, run_dir: Path, metrics: MetricsWriter
) -> ActorEvaluation | None:
    """Evaluation between training episodes, where that is what the config says."""
    chosen = settings.evaluation
    if chosen.where == "process" or chosen.episodes == 0:
        return None
    done = max((record.step for record in read_metrics(run_dir).evals), default=0)
    return ActorEvaluation(
        metrics, chosen.every, chosen.episodes, chosen.seed, chosen.sampled, done
    )


def pace_of(cfg: DictConfig, environment: RobotEnvironment, real_time: bool) -> Rate | None:
    """A foreign environment has no clock that could be slowed: the loop keeps a person's pace."""
    if not real_time or "id" not in cfg.env:
        return None
    clock = MonotonicClock()
    return Rate(clock.now_ns, clock.sleep_until, round(NS / (environment.spec.rate_hz or 10.0)))
