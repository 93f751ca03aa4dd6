"""The learner: reads the log into replay, updates, publishes. It builds no environment.

Each block of its schedule samples only log positions below the block's (see schedule.py), so that
given the log and the seed the learner is a pure function; a resumed one ends bit-equal. Without a
log it learns from datasets, without a link nothing is published.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from robot_rl.data.sampler import Sampler
from robot_rl.interfaces import Agent, Schedule
from robot_rl.metrics.records import LearnerRecord
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.checkpoint import CheckpointState, save_checkpoint
from robot_rl.runtime.feed import Feeder
from robot_rl.runtime.settings import LearnerSettings
from robot_rl.sampling import Block
from robot_rl.wire.learner_link import LearnerLink
from robot_rl.wire.protocol import Stats

IDLE_S = 0.001
STATUS_S = 1.0


@dataclass(slots=True)
class Progress:
    """Counters of one learner's life; block and version are part of a checkpoint."""

    block: int = 0
    """Done."""
    step: int = 0
    """What curves count, see `Block.step`."""
    version: int = 0
    """Of the weights last published."""
    start_block: int = 0
    taught: bool = False
    """The agent is not fresh: resumed or warm started. Its policy acts from the start."""
    published: bool = False
    """In this life."""
    started: float = field(default_factory=time.monotonic)
    idle_s: float = 0.0
    last_status: float = 0.0


@dataclass(slots=True)
class Learner:
    """Everything one learner process holds; `run` is its loop."""

    agent: Agent
    sampler: Sampler
    schedule: Schedule
    settings: LearnerSettings
    metrics: MetricsWriter
    rng: np.random.Generator
    run_dir: Path
    agent_name: str
    spec_sha256: str
    feeder: Feeder | None = None
    """None: no log."""
    link: LearnerLink | None = None
    """None: nobody acts."""
    config: Mapping[str, str] = field(default_factory=dict)
    """What a checkpoint keeps of the config, see `CheckpointState`."""
    progress: Progress = field(default_factory=Progress)
    _positions: dict[int, int] = field(default_factory=lambda: {0: 0})
    """Log position behind so many training steps."""
    _plants: dict[str, list[str]] = field(default_factory=dict)
    """By actor, see `_note_plants`."""

    def run(self, stopping: Callable[[], bool]) -> bool:
        """Updates to the schedule's end (True) or until `stopping()` (False); saves both ways."""
        while (block := self.schedule.next(self.progress.block)) is not None and not stopping():
            if not self.progress.published and (self.progress.taught or not block.random):
                self.publish()
            self._grant(block)
            if not self._ready(block):
                self._idle()
                continue
            if self.progress.block == 0:
                upper = self._positions[block.upper]
                self.agent.prepare(self.sampler.replay.observations(upper))
            if not self.progress.published:
                self.publish()
            self.step(block)
        self.save()
        self._status(None)
        return block is None

    def step(self, block: Block) -> None:
        """One block: sample, update, and now and then publish, snapshot, report, save."""
        upper, since = self._positions[block.upper], self._positions[block.since]
        losses = self.agent.update(self.sampler.sample(self.rng, upper, since))
        self.progress.block, self.progress.step = block.index + 1, block.step
        if block.publish:
            self.publish()
        if block.evaluate:
            self.snapshot()
        if losses is not None or self.progress.block % self.settings.metrics_every == 0:
            self._status(losses)
        if self.progress.block % self.settings.checkpoint_every == 0:
            self.save()

    def publish(self) -> None:
        """Sends the newest policy to every actor."""
        self.progress.version += 1
        self.progress.published = True
        if self.link is not None:
            self.link.publish(self.agent.policy_weights(), self.progress.version)

    def catch_up(self, steps: int) -> bool:
        """Reads the log as far as a checkpoint had; False where it is shorter."""
        block = self.schedule.next(self.progress.block)
        marks = {block.since, block.upper} if block is not None else set()
        return self._read({mark for mark in marks if mark < steps} | {steps})

    def _ready(self, block: Block) -> bool:
        """Whether replay holds what the block waits for; reads what has come."""
        marks = {block.since, block.upper, block.lower}
        if not self._read(marks):
            return False
        self._positions = {0: 0} | {steps: self._positions[steps] for steps in marks}
        return True

    def _read(self, marks: set[int]) -> bool:
        for steps in sorted(marks - self._positions.keys()):
            if self.feeder is None or not self.feeder.advance(steps):
                return False
            self._positions[steps] = self.feeder.position
        return True

    def _grant(self, block: Block) -> None:
        """Credit names the weights that it is for: none while the warm-up is random, then any; or
        the newest, where a block asks for steps of one version."""
        if self.link is not None:
            newest = self.progress.version if block.newest else min(1, self.progress.version)
            self.link.grant(block.granted, newest if self.progress.published else 0)
            self.link.heartbeat(self.progress.block * self.agent.sampling.utd)

    def snapshot(self) -> None:
        """Leaves a frozen policy for the evaluator, written aside and renamed."""
        if self.link is None:
            self.publish()  # nobody else counts versions then
        folder = self.run_dir / "policies"
        folder.mkdir(exist_ok=True)
        aside = folder / ".writing"
        save_file(
            {k: np.ascontiguousarray(v) for k, v in self.agent.policy_weights().items()},
            aside,
            metadata={"version": str(self.progress.version), "agent": self.agent_name},
        )
        aside.rename(folder / f"step-{self.progress.step:09d}.safetensors")

    def save(self) -> None:
        """Writes a checkpoint of everything that the next life needs."""
        state = CheckpointState(
            block=self.progress.block,
            steps=self.feeder.steps if self.feeder is not None else 0,
            position=self.feeder.position if self.feeder is not None else 0,
            version=self.progress.version,
            agent=self.agent_name,
            spec_sha256=self.spec_sha256,
            sampler=dict(self.rng.bit_generator.state),
            config=dict(self.config),
        )
        save_checkpoint(
            self.run_dir / "checkpoints",
            self.agent.state(),
            state,
            keep=self.settings.keep_checkpoints,
        )

    def _idle(self) -> None:
        time.sleep(IDLE_S)
        self.progress.idle_s += IDLE_S
        if time.monotonic() - self.progress.last_status > STATUS_S:
            self._status(None)

    def _status(self, losses: Mapping[str, float] | None) -> None:
        progress, now = self.progress, time.monotonic()
        progress.last_status = now
        utd, feeder = self.agent.sampling.utd, self.feeder
        updates = progress.block * utd
        known = feeder.steps + feeder.waiting if feeder is not None else 0
        life = max(now - progress.started, 1e-9)
        stats = self.link.stats() if self.link is not None else None
        self._note_plants(stats)
        queues, staleness = depths(stats)
        self.metrics.write(
            LearnerRecord(
                step=feeder.steps if feeder is not None else progress.step,
                updates=updates,
                updates_per_s=(progress.block - progress.start_block) * utd / life,
                utd_true=updates / known if known else 0.0,
                version=progress.version,
                staleness=staleness,
                queues={"log": feeder.waiting if feeder is not None else 0} | queues,
                metrics=dict(losses or {}),
                seconds={"wait": progress.idle_s, "learn": life - progress.idle_s},
            )
        )

    def _note_plants(self, stats: Stats | None) -> None:
        """An event, once, for an actor whose robot differs from the log's where it may."""
        for actor in stats.actors if stats is not None else ():
            if actor.plant and self._plants.get(actor.actor) != actor.plant:
                self._plants[actor.actor] = actor.plant
                text = f"{actor.actor} has another plant than the log: {'; '.join(actor.plant)}"
                self.metrics.event(text, self.progress.step)


def depths(stats: Stats | None) -> tuple[dict[str, int], float | None]:
    """Depth of every queue between the actors and the log; and how many versions the farthest
    actor is behind, None while no actor is connected."""
    if stats is None:
        return {}, None
    queues, behind = {"ingest": stats.queue}, []
    for actor in stats.actors:
        if actor.connected:
            queues[f"{actor.actor} ring"] = actor.ring_depth
            queues[f"{actor.actor} spool, kB"] = actor.spool_bytes // 1000
            behind.append(stats.weights_version - actor.used_version)
    return queues, float(max(behind)) if behind else None
