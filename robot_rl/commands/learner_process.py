"""The learner's process: agent, replay and mixture over a run's log; no environment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from robot_rl.commands.announce import announce
from robot_rl.commands.child_config import LearnerConfig
from robot_rl.commands.common import numbers_of, settings_of, what_is_learned
from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.mixture import Mixture
from robot_rl.data.replay import Replay
from robot_rl.errors import CheckpointError
from robot_rl.factory import agent_name, check_same_spec, make_agent
from robot_rl.interfaces import Agent
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.changes import take_effect
from robot_rl.runtime.checkpoint import newest_checkpoint
from robot_rl.runtime.feed import Feeder
from robot_rl.runtime.learner import Learner
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.schedule import Schedule
from robot_rl.runtime.settings import AgentNumbers, DemoSettings, RunSettings
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, EpisodeSummary
from robot_rl.wire.learner_link import LearnerLink


def run_learner(config: LearnerConfig, stopping: Callable[[], bool]) -> None:
    """Learns to the end of the schedule, or until SIGTERM (without `finished`)."""
    run_dir = config.path
    folder = RunDir(run_dir)
    cfg = folder.config()
    settings, numbers = settings_of(cfg), numbers_of(cfg)
    if not folder.wait_for_log(stopping):
        return
    spec = LogReader(folder.log).spec
    with (
        MetricsWriter(run_dir, "learner", origin_s=config.origin_s) as metrics,
        closing(LearnerLink(config.address)) as link,
    ):
        if note := plant_of(settings.demos, spec):
            metrics.event(note)
        metrics.event("the learner prepares its updates (compiled: some 20 s the first time)")
        tell = None
        if config.episodes_from_log:
            tell = telling(run_dir, metrics)
            announce(folder, metrics, acts=False)
        agent = make_agent(cfg, spec, seed=settings.seed)
        mixture = make_mixture(settings, numbers, spec)
        learner = Learner(
            agent=agent,
            feeder=Feeder(LogReader(folder.log, spec), mixture.replay, tell),
            mixture=mixture,
            schedule=Schedule(settings.steps, numbers.warmup_steps, settings.learner.credit_window),
            settings=settings.learner,
            link=link,
            metrics=metrics,
            rng=np.random.default_rng([settings.seed, 1]),
            run_dir=run_dir,
            agent_name=agent_name(cfg),
            spec_sha256=spec.sha256(),
            utd=numbers.utd,
            evaluation_every=settings.evaluation.every,
            config=what_is_learned(cfg),
        )
        metrics.event("the learner is ready")
        resume(learner, agent)
        if learner.run(stopping):
            folder.finished.touch()


def telling(run_dir: Path, metrics: MetricsWriter) -> Callable[[EpisodeSummary, int], None]:
    """Leaves each episode of the log in the metrics, those from before this session left out."""
    known = max((episode.step for episode in read_metrics(run_dir).episodes), default=0)

    def tell(summary: EpisodeSummary, step: int) -> None:
        if step > known:
            metrics.episode(summary, step)

    return tell


def make_mixture(settings: RunSettings, numbers: AgentNumbers, spec: EnvSpec) -> Mixture:
    """Replay with the demonstrations in it, and the mixture that samples from both."""
    demos = load_demos(settings.demos, spec) if numbers.demo_ratio > 0 else []
    replay = Replay(
        spec,
        settings.replay.capacity,
        streams=settings.actors,
        demo_rows=sum(len(rows) for rows in demos),
        memory_limit_gb=settings.replay.memory_limit_gb,
    )
    for rows in demos:
        replay.add_demos(rows)
    return Mixture(
        replay,
        batch_size=numbers.batch_size,
        utd=numbers.utd,
        demo_ratio=numbers.demo_ratio,
        n_step=numbers.n_step,
        gamma=numbers.discount,
        proposed_ratio=numbers.proposed_ratio,
    )


def plant_of(demos: DemoSettings, spec: EnvSpec) -> str:
    """How the plant of the dataset differs from the run's, "" where it does not."""
    if demos.path is None:
        return ""
    return check_same_spec(spec, LogReader(demos.path).spec, f"dataset {demos.path}")


def load_demos(demos: DemoSettings, spec: EnvSpec) -> list[Array]:
    """Records of the first `episodes` episodes of the dataset, which must have this spec."""
    if demos.path is None:
        return []
    path = Path(demos.path)
    check_same_spec(spec, LogReader(path).spec, f"dataset {path}")
    episodes: list[Array] = []
    for episode in read_episodes(path):
        if len(episodes) == demos.episodes:
            break
        if not episode.evaluation:
            episodes.append(episode.records)
    return episodes


def resume(learner: Learner, agent: Agent) -> None:
    """Goes on from the newest good checkpoint, if there is one."""
    found, warnings = newest_checkpoint(learner.run_dir / "checkpoints")
    for warning in warnings:
        print(f"learner: WARNING: {warning}", file=sys.stderr)
        learner.metrics.event(warning, warning=True)
    if found is None:
        take_effect(learner.run_dir, learner.config, learner.config, 0)
        return
    arrays, state = found
    if state.agent != learner.agent_name or state.spec_sha256 != learner.spec_sha256:
        raise CheckpointError(
            f"{learner.run_dir}/checkpoints belong to agent {state.agent}, "
            f"spec {state.spec_sha256[:12]}; this run is {learner.agent_name}, "
            f"spec {learner.spec_sha256[:12]}"
        )
    changes = take_effect(learner.run_dir, state.config, learner.config, state.steps)
    for change in changes:
        learner.metrics.event(f"changed: {change}", step=state.steps)
    agent.load_state(arrays)
    learner.rng.bit_generator.state = state.sampler
    learner.progress.block = learner.progress.start_block = state.block
    learner.progress.version = state.version
    if not learner.feeder.advance(state.steps):
        raise CheckpointError(
            f"the log ends at step {learner.feeder.steps}, before the checkpoint's {state.steps}"
        )
    learner.metrics.event(f"resumed at block {state.block}", step=state.steps)
