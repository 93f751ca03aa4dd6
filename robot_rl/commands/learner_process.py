"""The learner's process: agent, replay and sampler over a run's log; no environment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path

import numpy as np

from robot_rl.agents.common.parameters import split_parts
from robot_rl.commands.announce import announce
from robot_rl.commands.child_config import LearnerConfig
from robot_rl.commands.common import schedule_of, settings_of, what_is_learned
from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.sampler import Sampler, replay_for, with_reward_scale
from robot_rl.errors import CheckpointError, ConfigError, suggest
from robot_rl.factory import agent_name, check_same_spec, make_agent
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.changes import take_effect
from robot_rl.runtime.checkpoint import STATE, load_checkpoint, newest_checkpoint
from robot_rl.runtime.evaluator import load_policy
from robot_rl.runtime.feed import Feeder
from robot_rl.runtime.learner import Learner
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.settings import DemoSettings, RunSettings, WarmStart
from robot_rl.sampling import PoolName, Sampling
from robot_rl.specs import EnvSpec
from robot_rl.types import Array, EpisodeSummary
from robot_rl.wire.learner_link import LearnerLink


def run_learner(config: LearnerConfig, stopping: Callable[[], bool]) -> None:
    """Learns to the end of the schedule, or until SIGTERM (without `finished`)."""
    run_dir = config.path
    folder = RunDir(run_dir)
    cfg = folder.config()
    settings, schedule = settings_of(cfg), schedule_of(cfg)
    if schedule.acts and not folder.wait_for_log(stopping):
        return
    spec = LogReader(folder.log).spec if schedule.acts else folder.spec()
    with ExitStack() as stack:
        metrics = stack.enter_context(MetricsWriter(run_dir, "learner", origin_s=config.origin_s))
        link = stack.enter_context(closing(LearnerLink(config.address))) if schedule.acts else None
        if note := plant_of(settings.demos, spec):
            metrics.event(note)
        metrics.event("the learner prepares its updates (compiled: some 20 s the first time)")
        on_episode = None
        if config.episodes_from_log:
            on_episode = on_episode_of(run_dir, metrics)
            announce(folder, metrics, acts=False)
        agent = make_agent(cfg, spec, seed=settings.seed)
        sampler = make_sampler(settings, agent.sampling, spec, log=schedule.acts)
        learner = Learner(
            agent=agent,
            sampler=sampler,
            schedule=schedule,
            settings=settings.learner,
            metrics=metrics,
            rng=np.random.default_rng([settings.seed, 1]),
            run_dir=run_dir,
            agent_name=agent_name(cfg),
            spec_sha256=spec.sha256(),
            feeder=Feeder(LogReader(folder.log, spec), sampler.replay, on_episode)
            if link
            else None,
            link=link,
            config=what_is_learned(cfg),
        )
        precision = cfg.agent.learner.get("precision", "float32")
        metrics.event(f"the learner is ready; its matrix products are in {precision}")
        if not resume(learner):
            warm_start(learner, settings.learner.warm_start)
        if learner.run(stopping):
            folder.finished.touch()


def on_episode_of(run_dir: Path, metrics: MetricsWriter) -> Callable[[EpisodeSummary, int], None]:
    """Leaves each episode of the log in the metrics, those from before this session left out."""
    known = max((episode.step for episode in read_metrics(run_dir).episodes), default=0)

    def on_episode(summary: EpisodeSummary, step: int) -> None:
        if step > known:
            metrics.episode(summary, step)

    return on_episode


def make_sampler(settings: RunSettings, sampling: Sampling, spec: EnvSpec, *, log: bool) -> Sampler:
    """Replay with the datasets in it that the agent asks for, and what samples from it."""
    demos, names = settings.demos, {share.name for share in sampling.pools}
    found: dict[PoolName, list[Array]] = {}
    if "demo" in names:
        shown = load_episodes(demos.path, spec, demos.episodes + demos.validation)
        found = {"demo": shown[: demos.episodes], "validation": shown[demos.episodes :]}
    if "prior" in names:
        if demos.prior is None:
            raise ConfigError("this agent samples a pool 'prior'; valid: demos.prior=<dataset>")
        found["prior"] = load_episodes(demos.prior, spec)
    shown_pools = [found[pool] for pool in ("demo", "prior") if pool in found]
    sampling = with_reward_scale(sampling, chain.from_iterable(shown_pools))
    replay = replay_for(
        sampling,
        spec,
        capacity=settings.replay.capacity if log else 0,
        streams=settings.actors if log else 0,
        datasets={pool: sum(map(len, episodes)) for pool, episodes in found.items()},
        interventions=demos.interventions,
        memory_limit_gb=settings.replay.memory_limit_gb,
    )
    for pool, episodes in found.items():
        for rows in episodes:
            replay.add(pool, rows)
    return Sampler(replay, sampling)


def plant_of(demos: DemoSettings, spec: EnvSpec) -> str:
    """How the plant of the dataset differs from the run's, "" where it does not."""
    if demos.path is None:
        return ""
    return check_same_spec(spec, LogReader(demos.path).spec, f"dataset {demos.path}")


def load_episodes(name: str | None, spec: EnvSpec, most: int | None = None) -> list[Array]:
    """Records of the first `most` training episodes of a dataset, which must have this spec."""
    if name is None:
        return []
    path = Path(name)
    check_same_spec(spec, LogReader(path).spec, f"dataset {path}")
    return list(islice((e.records for e in read_episodes(path) if not e.evaluation), most))


def resume(learner: Learner) -> bool:
    """Goes on from the newest good checkpoint; False if there is none."""
    found, warnings = newest_checkpoint(learner.run_dir / "checkpoints")
    for warning in warnings:
        print(f"learner: WARNING: {warning}", file=sys.stderr)
        learner.metrics.event(warning, warning=True)
    if found is None:
        take_effect(learner.run_dir, learner.config, learner.config, 0)
        return False
    arrays, state = found
    if state.agent != learner.agent_name or state.spec_sha256 != learner.spec_sha256:
        raise CheckpointError(
            f"{learner.run_dir}/checkpoints belong to agent {state.agent}, "
            f"spec {state.spec_sha256[:12]}; this run is {learner.agent_name}, "
            f"spec {learner.spec_sha256[:12]}"
        )
    for change in take_effect(learner.run_dir, state.config, learner.config, state.steps):
        learner.metrics.event(f"changed: {change}", step=state.steps)
    learner.agent.load_state(arrays)
    learner.rng.bit_generator.state = state.sampler
    progress = learner.progress
    progress.block = progress.start_block = state.block
    progress.version, progress.taught = state.version, state.block > 0
    before = learner.schedule.next(state.block - 1) if state.block else None
    progress.step = before.step if before is not None else 0
    if not learner.catch_up(state.steps):
        raise CheckpointError(
            f"the log ends before the checkpoint's step {state.steps}: it is not this run's"
        )
    learner.metrics.event(f"resumed at block {state.block}", step=state.steps)
    return True


def warm_start(learner: Learner, settings: WarmStart) -> None:
    """Gives a fresh agent the parts that the config names, and the input scaling they were learnt
    with; CheckpointError names the part or array that does not fit."""
    if settings.source is None:
        return
    there = split_parts(read_source(Path(settings.source)))
    wanted = [name for name in learner.agent.parts() if name in (*settings.parts, "scale")]
    for name in settings.parts:
        if name not in there or name not in wanted:
            lacks = "this agent" if name in there else settings.source
            valid = [part for part in there if part in learner.agent.parts()]
            raise CheckpointError(
                f"learner.warm_start: {lacks} has no part '{name}': {suggest(name, valid)}"
            )
    for name in wanted:
        if name in there:
            learner.agent.load_part(name, there[name])
    learner.progress.taught = True
    parts = ", ".join(settings.parts)
    learner.metrics.event(f"warm start: {parts} from {settings.source}")


def read_source(path: Path) -> dict[str, Array]:
    """The arrays of a run's newest checkpoint, of one checkpoint, or of a policy file."""
    if path.is_file():
        return load_policy(path)[0]
    if (path / STATE).exists():
        return load_checkpoint(path)[0]
    found, _ = newest_checkpoint(path / "checkpoints")
    if found is None:
        raise CheckpointError(
            f"learner.warm_start.from={path}: nothing to begin with; valid: a run with a "
            "checkpoint, a checkpoint's folder, or <run>/policies/step-*.safetensors"
        )
    return found[0]
