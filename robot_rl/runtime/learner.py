"""The learner: tails the log into replay, updates, publishes. It builds no environment.

Update block b samples only log positions below n(b) (see schedule.py), so that given the log and
the seed the learner is a pure function; a resumed one ends bit-equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from robot_rl.data.mixture import Mixture
from robot_rl.interfaces import Agent
from robot_rl.metrics.records import LearnerRecord
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.checkpoint import CheckpointState, save_checkpoint
from robot_rl.runtime.feed import Feeder
from robot_rl.runtime.schedule import Schedule
from robot_rl.runtime.settings import LearnerSettings
from robot_rl.wire.learner_link import LearnerLink
from robot_rl.wire.protocol import Stats

IDLE_S = 0.001
STATUS_S = 1.0


@dataclass(slots=True)
class Progress:
    """Counters of one learner's life; the first three are part of a checkpoint."""

    block: int = 0
    version: int = 0
    start_block: int = 0
    started: float = field(default_factory=time.monotonic)
    idle_s: float = 0.0
    last_status: float = 0.0


@dataclass(slots=True)
class Learner:
    """Everything one learner process holds; `run` is its loop."""

    agent: Agent
    feeder: Feeder
    mixture: Mixture
    schedule: Schedule
    settings: LearnerSettings
    link: LearnerLink
    metrics: MetricsWriter
    rng: np.random.Generator
    run_dir: Path
    agent_name: str
    spec_sha256: str
    utd: int
    evaluation_every: int
    config: Mapping[str, str] = field(default_factory=dict)
    """What a checkpoint keeps of the config, see `CheckpointState`."""
    progress: Progress = field(default_factory=Progress)

    def run(self, stopping: Callable[[], bool]) -> bool:
        """Updates to the schedule's end (True) or until `stopping()` (False); saves both ways."""
        self.publish()
        while self.progress.block < self.schedule.blocks and not stopping():
            self.link.grant(self.schedule.granted(self.progress.block))
            self.link.heartbeat(self.progress.block * self.utd)
            if not self.feeder.advance(self.schedule.steps_for(self.progress.block)):
                self._idle()
                continue
            self.step()
        self.save()
        self._status(None)
        return self.progress.block >= self.schedule.blocks

    def step(self) -> None:
        """One block: sample, update, and now and then publish, snapshot, report, save."""
        batch = self.mixture.sample(self.rng, self.feeder.position)
        losses = self.agent.update(batch)
        self.progress.block += 1
        block = self.progress.block
        if block % self.settings.publish_every == 0:
            self.publish()
        if block % self.evaluation_every == 0 or block == self.schedule.blocks:
            self.snapshot()
        if losses is not None or block % self.settings.metrics_every == 0:
            self._status(losses)
        if block % self.settings.checkpoint_every == 0:
            self.save()

    def publish(self) -> None:
        """Sends the newest policy to every actor."""
        self.progress.version += 1
        self.link.publish(self.agent.policy_weights(), self.progress.version)

    def snapshot(self) -> None:
        """Leaves a frozen policy for the evaluator, written aside and renamed."""
        folder = self.run_dir / "policies"
        folder.mkdir(exist_ok=True)
        aside = folder / ".writing"
        save_file(
            {k: np.ascontiguousarray(v) for k, v in self.agent.policy_weights().items()},
            aside,
            metadata={"version": str(self.progress.version), "agent": self.agent_name},
        )
        aside.rename(folder / f"step-{self.progress.block:09d}.safetensors")

    def save(self) -> None:
        """Writes a checkpoint of everything that the next life needs."""
        state = CheckpointState(
            block=self.progress.block,
            steps=self.feeder.steps,
            position=self.feeder.position,
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
        known = self.feeder.steps + self.feeder.waiting
        updates = progress.block * self.utd
        life = max(now - progress.started, 1e-9)
        queues, staleness = depths(self.link.stats())
        self.metrics.write(
            LearnerRecord(
                step=self.feeder.steps,
                updates=updates,
                updates_per_s=(progress.block - progress.start_block) * self.utd / life,
                utd_true=updates / known if known else 0.0,
                version=progress.version,
                staleness=staleness,
                queues={"log": self.feeder.waiting} | queues,
                metrics=dict(losses or {}),
                seconds={"wait": progress.idle_s, "learn": life - progress.idle_s},
            )
        )


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
