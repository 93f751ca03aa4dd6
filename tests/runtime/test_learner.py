"""The learner is a pure function of log and seed: stopped and resumed, it ends bit-equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from robot_rl.agents.sac.agent import SAC
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.sampler import Sampler, replay_for
from robot_rl.interfaces import Schedule
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.checkpoint import load_checkpoint, newest_checkpoint
from robot_rl.runtime.feed import Feeder
from robot_rl.runtime.learner import Learner
from robot_rl.runtime.schedule import OnlineSchedule, Run
from robot_rl.runtime.settings import LearnerSettings
from robot_rl.sampling import Block
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Array
from robot_rl.wire.protocol import ActorStats, Stats
from robot_rl.wire.record import Kind, record_dtype

SPEC = EnvSpec(
    name="toy",
    observation=(ArraySpec("state", (5,)),),
    action=ArraySpec("action", (2,), low=-1.0, high=1.0),
    command_layout=(("command", 2),),
    rate_hz=10.0,
)
STEPS, BATCH, UTD = 60, 8, 2


class SilentLink:
    """Takes what a learner sends; the log is all that comes in."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.grants: list[tuple[int, int]] = []
        self.granted = 0

    def publish(self, weights: dict[str, Array], version: int) -> None:
        assert all(np.isfinite(array).all() for array in weights.values())
        self.published.append(version)

    def grant(self, total_steps: int, version: int = 0) -> None:
        assert total_steps >= self.granted
        self.granted = total_steps
        self.grants.append((total_steps, version))

    def heartbeat(self, updates: int) -> None:
        assert updates >= 0

    def stats(self) -> None:
        """Ingest has not answered yet."""


class PlantLink(SilentLink):
    """As ingest answers where one actor's robot has other limits; it is away in between."""

    def stats(self) -> Stats:  # type: ignore[override]
        zeros = dict.fromkeys(("records", "steps", "allowed", "heard_ms", "actor_age_ms"), 0)
        zeros |= dict.fromkeys(("ring_depth", "spool_bytes", "used_version", "quarantined"), 0)
        flags = {"connected": True, "paused": False, "resting": False}
        plant = ["force: 20 != 30"] if len(self.published) % 2 else []
        one = ActorStats(actor="arm-b", epoch=1, plant=plant, **zeros, **flags)
        names = [f.name for f in msgspec.structs.fields(Stats) if f.required and f.name != "actors"]
        return Stats(actors=[one], **dict.fromkeys(names, 0))  # type: ignore[arg-type]


def test_another_plant_is_an_event_once(log: Path, tmp_path: Path) -> None:
    made = learner(log, tmp_path / "run")
    made.link = PlantLink()  # type: ignore[assignment]
    assert made.run(lambda: False)
    made.metrics.close()
    texts = [event.text for event in read_metrics(tmp_path / "run").events]
    assert [text for text in texts if "plant" in text] == [
        "arm-b has another plant than the log: force: 20 != 30"
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 60 steps in episodes of 7, from two actors in turns."""
    rng = np.random.default_rng(0)
    writer = LogWriter.create(tmp_path / "log", SPEC)
    sequence = {"a": 0, "b": 0}
    steps = episode = 0
    while steps < STEPS:
        actor = "ab"[episode % 2]
        length = min(7, STEPS - steps)
        rows = np.zeros(length + 1, record_dtype(SPEC))
        rows["kind"], rows["kind"][0] = Kind.STEP, Kind.START
        rows["sequence"] = sequence[actor] + np.arange(length + 1)
        rows["episode"], rows["step"] = episode, np.arange(length + 1)
        rows["human"] = np.nan
        rows["obs.state"] = rng.normal(size=(length + 1, 5))
        rows["action"] = rng.uniform(-1, 1, (length + 1, 2))
        rows["reward"][-1], rows["terminated"][-1] = 1.0, 1
        writer.append_records(rows, actor=actor, epoch=1)
        sequence[actor] += length + 1
        steps, episode = steps + length, episode + 1
    writer.close()
    return tmp_path / "log"


RUN = Run(STEPS, warmup_steps=10, credit_window=4, publish_every=5, evaluate_every=20)


def learner(
    log: Path, run_dir: Path, seed: int = 3, schedule: Schedule | None = None, **options: Any
) -> Learner:
    run_dir.mkdir(exist_ok=True)
    sizes = {"batch_size": BATCH, "utd": UTD, "hidden": (16, 16), "compile": False}
    agent = SAC(SPEC, seed=seed, **(sizes | options))
    replay = replay_for(agent.sampling, SPEC, capacity=1000, streams=2, datasets={})
    return Learner(
        agent=agent,
        feeder=Feeder(LogReader(log, SPEC), replay),
        sampler=Sampler(replay, agent.sampling),
        schedule=schedule or OnlineSchedule(RUN),
        settings=LearnerSettings(
            publish_every=5,
            checkpoint_every=10_000,
            keep_checkpoints=2,
            credit_window=4,
            metrics_every=50,
            threads=1,
        ),
        link=SilentLink(),  # type: ignore[arg-type]
        metrics=MetricsWriter(run_dir, "learner", origin_s=0.0, tensorboard=False),
        rng=np.random.default_rng([seed, 1]),
        run_dir=run_dir,
        agent_name="sac",
        spec_sha256=SPEC.sha256(),
    )


def stop_after(run: Learner, blocks: int) -> None:
    run.run(lambda: run.progress.block >= blocks)


@pytest.mark.parametrize("stop", [1, 9, 10, 37])
def test_a_resumed_learner_ends_bit_equal(log: Path, tmp_path: Path, stop: int) -> None:
    from robot_rl.commands.learner_process import resume

    whole = learner(log, tmp_path / "whole")
    assert whole.run(lambda: False)
    first = learner(log, tmp_path / "parts")
    stop_after(first, stop)
    assert first.progress.block == stop
    second = learner(log, tmp_path / "parts", seed=3)
    resume(second)
    assert second.progress.block == stop
    assert second.run(lambda: False)
    mine, theirs = second.agent.state(), whole.agent.state()
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert np.array_equal(mine[name], theirs[name]), name


@pytest.mark.parametrize("kind", ["standard", "log"])
@pytest.mark.parametrize("stop", [1, 30])
def test_inputs_are_scaled_by_the_warm_up_and_so_after_a_resume(
    log: Path, tmp_path: Path, kind: str, stop: int
) -> None:
    from robot_rl.commands.learner_process import resume

    whole = learner(log, tmp_path / "whole", input_scaling=kind)
    assert whole.run(lambda: False)
    rows = np.concatenate([chunk.records for chunk in LogReader(log, SPEC).chunks()])
    step = rows["kind"] == Kind.STEP
    last = np.flatnonzero(np.cumsum(step) == 10)[0]
    seen = rows["obs.state"][: last + 1][step[: last + 1]]
    scale = whole.agent.state()["scale"]
    np.testing.assert_allclose(scale[0], seen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scale[1], seen.std(0), rtol=1e-5)
    first = learner(log, tmp_path / "parts", input_scaling=kind)
    stop_after(first, stop)
    second = learner(log, tmp_path / "parts", input_scaling=kind)
    resume(second)
    assert second.run(lambda: False)
    mine, theirs = second.agent.state(), whole.agent.state()
    for name in mine:
        assert np.array_equal(mine[name], theirs[name]), name


def test_a_resume_reads_more_of_the_log_than_comes_at_a_time(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long run's log is many times what one poll gives."""
    from robot_rl.commands.learner_process import resume

    first = learner(log, tmp_path / "run")
    stop_after(first, 37)
    monkeypatch.setattr("robot_rl.runtime.feed.READ_AHEAD", 1)
    second = learner(log, tmp_path / "run")
    resume(second)
    assert second.feeder is not None
    assert first.feeder is not None
    assert second.feeder.steps == first.feeder.steps
    assert second.feeder.position == first.feeder.position


def test_another_seed_ends_elsewhere(log: Path, tmp_path: Path) -> None:
    first, second = learner(log, tmp_path / "a", seed=1), learner(log, tmp_path / "b", seed=2)
    assert first.run(lambda: False)
    assert second.run(lambda: False)
    a, b = first.agent.policy_weights(), second.agent.policy_weights()
    assert any(not np.array_equal(a[name], b[name]) for name in a)


def test_updates_wait_for_steps_and_grants_grow(log: Path, tmp_path: Path) -> None:
    run = learner(log, tmp_path / "run")
    seen: list[tuple[int, int]] = []
    step = Learner.step

    def watched(self: Learner, block: Block) -> None:
        assert self.feeder is not None
        seen.append((self.progress.block, self.feeder.steps))
        step(self, block)

    try:
        Learner.step = watched  # type: ignore[method-assign]
        assert run.run(lambda: False)
    finally:
        Learner.step = step  # type: ignore[method-assign]
    assert seen == [(block, min(STEPS, max(10, block + 1))) for block in range(STEPS)]


def test_a_torn_checkpoint_is_skipped(log: Path, tmp_path: Path) -> None:
    run = learner(log, tmp_path / "run")
    stop_after(run, 20)
    stop_after(run, 40)
    newest = sorted((tmp_path / "run" / "checkpoints").glob("block-*"))[-1]
    arrays = newest / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-100])
    found, warnings = newest_checkpoint(tmp_path / "run" / "checkpoints")
    assert found is not None
    assert found[1].block == 20
    assert len(warnings) == 1
    assert "block-000000040" in warnings[0]


def test_a_checkpoint_of_another_agent_is_refused(log: Path, tmp_path: Path) -> None:
    from robot_rl.commands.learner_process import resume
    from robot_rl.errors import CheckpointError

    run = learner(log, tmp_path / "run")
    stop_after(run, 12)
    other = learner(log, tmp_path / "run")
    other.agent_name = "iql"
    with pytest.raises(CheckpointError, match=r"agent sac.*this run is iql"):
        resume(other)


def test_a_config_changed_since_the_checkpoint_is_refused(log: Path, tmp_path: Path) -> None:
    from robot_rl.commands.learner_process import resume
    from robot_rl.errors import CheckpointError

    run = learner(log, tmp_path / "run")
    run.config = {"agent.learner.lr": "0.0003", "seed": "0"}
    stop_after(run, 12)
    other = learner(log, tmp_path / "run")
    other.config = {"agent.learner.lr": "0.001", "seed": "0"}
    with pytest.raises(CheckpointError, match=r"agent.learner.lr: 0.0003 -> 0.001. Valid"):
        resume(other)
    assert other.progress.block == 0


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    from robot_rl.errors import CheckpointError

    with pytest.raises(CheckpointError, match=r"state\.json is missing"):
        load_checkpoint(tmp_path / "nothing")
