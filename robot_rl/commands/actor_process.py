"""An actor's process: environment, policy, teleoperation, and the link to its I/O process."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from robot_rl.commands.child_config import ActorConfig
from robot_rl.commands.common import settings_of
from robot_rl.errors import HandshakeError
from robot_rl.factory import make_env, make_policy, make_teleop
from robot_rl.metrics.writer import BackgroundMetricsWriter
from robot_rl.runtime.actor import Actor
from robot_rl.runtime.priority import ask_for_priority
from robot_rl.runtime.rundir import RunDir
from robot_rl.specs import EnvSpec
from robot_rl.wire.actor_link import ActorLink

DEFAULT_EPISODE_RECORDS = 1001


def run_actor(config: ActorConfig, stopping: Callable[[], bool]) -> None:
    """Acts until SIGTERM."""
    actor_id = config.actor
    cfg = RunDir(config.path).config()
    settings = settings_of(cfg)
    seed = settings.seed * 1000 + sum(actor_id.encode())
    env = make_env(cfg, real_time=settings.actor.real_time)
    spec: EnvSpec = env.data_spec
    policy = make_policy(cfg, spec, seed=seed)
    teleop = make_teleop(cfg, env)
    epoch = secrets.randbits(62) | 1
    link = ActorLink(Path(config.runtime_dir), spec, actor_id, epoch)
    with BackgroundMetricsWriter(config.path, actor_id, origin_s=config.origin_s) as metrics:
        granted = ask_for_priority(fifo=settings.actor.fifo, nice=settings.actor.nice)
        metrics.event(f"{actor_id} started, {granted}")
        actor = Actor(
            env=env,
            policy=policy,
            teleop=teleop,
            link=link,
            metrics=metrics,
            actor=actor_id,
            epoch=epoch,
            seed=seed,
            wait=settings.actor.wait,
            episode_records=longest_episode(env),
            slack_ns=round(settings.actor.policy_period_slack_ms * 1e6),
        )

        def ended() -> bool:
            if refusal := link.refusal():
                raise HandshakeError(refusal)
            return stopping()

        try:
            actor.run(ended)
        finally:
            link.close()
            teleop.close()
            env.close()


def longest_episode(env: object) -> int:
    """Records of the longest episode: the task's time limit and the start."""
    task = getattr(env, "task", None)
    limit = getattr(task, "max_steps", None)
    return int(limit) + 1 if limit is not None else DEFAULT_EPISODE_RECORDS
