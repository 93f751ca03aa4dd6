"""The real learner, killed at named points and at random: it ends bit-equal, and soon goes on."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fault_points import POINTS
from fault_recorder import Broken, notes
from fault_world import World, wait_for

from robot_rl.commands.child_config import LearnerConfig, child_command
from robot_rl.config import load_config
from robot_rl.runtime.rundir import RunDir

OVERRIDES = [
    "agent=sac",
    "agent.replay.warmup_steps=30",
    "agent.replay.batch_size=16",
    "agent.replay.utd=1",
    "agent.learner.hidden=[32,32]",
    "agent.learner.compile=false",
    "learner.checkpoint_every=20",
    "learner.publish_every=5",
    "evaluation.every=200",
]


class LearnerRun:
    """A run's folder with its wire and the learner's process, started and started again."""

    def __init__(self, folder: Path, steps: int) -> None:
        self.folder, self.steps = RunDir(folder), steps
        self.book = folder / "steps.notes"
        self.process: subprocess.Popen[bytes] | None = None
        if not (folder / "config.yaml").exists():
            self.folder.create(load_config([*OVERRIDES, f"steps={steps}"]))

    def start(self, world: World, **options: Any) -> float:
        """Starts the learner; gives the monotonic seconds of its start."""
        began = time.monotonic()
        world.options = {"steps": str(self.book), **options}
        config = LearnerConfig(str(self.folder.path), 0.0, address=world.addresses[1])
        command = child_command(config)
        self.process = world.start(command, "learner")
        return began

    def blocks(self) -> int:
        """Update blocks done, as the process noted."""
        return max((note.sequence for note in notes(self.book)), default=0)

    def wait_first(self, began: float, timeout_s: float = 180.0) -> float:
        """Seconds from `began` to the first update after it."""
        found: list[float] = []

        def updated() -> bool:
            if self.process is not None and self.process.poll() not in (None, 0):
                raise Broken(f"the learner ended with {self.process.poll()}")
            later = [n.at_ns / 1e9 for n in notes(self.book) if n.at_ns > began * 1e9]
            found.extend(later[:1])
            return bool(found)

        wait_for("the first update", updated, timeout_s)
        return found[0] - began

    def final(self) -> dict[str, Any]:
        """What decides the next life in the last checkpoint, by name."""
        path = sorted(self.folder.checkpoints.glob("block-*"))[-1]
        state: dict[str, Any] = json.loads((path / "state.json").read_text())
        arrays = hashlib.sha256((path / "arrays.safetensors").read_bytes()).hexdigest()
        return {key: state[key] for key in ("block", "steps", "sampler")} | {"arrays": arrays}


def kill_learner(run: LearnerRun, world: World, kills: int, seed: int) -> list[float]:
    """Named points first (two of them where there are few kills), then random times; seconds from
    each start to the first update."""
    rng = random.Random(seed)
    named = list(POINTS["learner"])
    if kills <= len(named):
        named = named[2::4][: kills - 1]
    times = []
    for number in range(kills):
        if number < len(named):
            point = named[number]
            nth = 30 if "update" in point else 1
            began = run.start(world, kill=f"learner: {point}", nth=nth)
        else:
            began = run.start(world)
        if number < len(named):
            assert run.process is not None
            assert run.process.wait(180) == -signal.SIGKILL, world.said("learner")[-500:]
            later = [n.at_ns / 1e9 for n in notes(run.book) if n.at_ns > began * 1e9]
            times.extend(moment - began for moment in later[:1])
            continue
        times.append(run.wait_first(began))
        time.sleep(rng.uniform(0.0, 0.2))
        run.process.kill()  # type: ignore[union-attr]
        run.process.wait(30)  # type: ignore[union-attr]
    return times


def end(run: LearnerRun, world: World) -> dict[str, Any]:
    """Lets the learner come to its schedule's end."""
    run.start(world)
    assert run.process is not None
    assert run.process.wait(600) == 0, world.said("learner")[-500:]
    return run.final()


def require_bit_equal(run: LearnerRun, world: World, folder: Path) -> None:
    """Against the same schedule over the same log by a learner that nobody kills."""
    parts = end(run, world)
    whole_run = LearnerRun(folder, run.steps)
    shutil.copytree(run.folder.log, whole_run.folder.log)
    whole = end(whole_run, world)
    if parts != whole:
        different = [key for key in parts if parts[key] != whole[key]]
        raise Broken(f"not bit-equal in {different}")


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_learner_ends_bit_equal(tmp_path: Path, kills: int) -> None:
    with World(tmp_path / "run", settings={"actor": {"rate_hz": 100.0}}) as world:
        run = LearnerRun(tmp_path / "run", 1000 if kills > 3 else 300)
        world.start_all()
        times = kill_learner(run, world, kills, seed=2)
        require_bit_equal(run, world, tmp_path / "whole")
        assert world.finish().require().logged > run.steps
    print(f"first update after {statistics.median(times):.1f} s (median)")
    assert not list(run.folder.checkpoints.glob(".*")), "what dead learners left is gone"


@pytest.mark.slow
def test_a_killed_learner_twin(tmp_path: Path) -> None:
    with World(tmp_path / "run", without=("sampler_in_the_checkpoint",)) as world:
        run = LearnerRun(tmp_path / "run", 120)
        world.start_all()
        run.start(world, kill="learner: before an update", nth=70)
        assert run.process is not None
        assert run.process.wait(180) == -signal.SIGKILL, world.said("learner")[-500:]
        with pytest.raises(Broken, match="arrays"):
            require_bit_equal(run, world, tmp_path / "whole")


@pytest.mark.slow
def test_a_stopped_learner_holds_nobody_up_and_ends_bit_equal(tmp_path: Path) -> None:
    """SIGSTOP for 3 s, twice: the actor goes on (I3), and what the learner learns is the same."""
    with World(tmp_path / "run", settings={"actor": {"rate_hz": 100.0}}) as world:
        run = LearnerRun(tmp_path / "run", 600)
        world.start_all()
        run.wait_first(run.start(world))
        assert run.process is not None
        for _ in range(2):
            run.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            blocks, acknowledged = run.blocks(), len(world.acknowledgements())
            time.sleep(2.7)
            assert run.blocks() == blocks, "it is stopped"
            wait_for("the actor", lambda n=acknowledged: len(world.acknowledgements()) > n + 20)
            assert run.blocks() == blocks
            run.process.send_signal(signal.SIGCONT)
            run.wait_first(time.monotonic())
        assert run.process.wait(180) == 0, world.said("learner")[-500:]
        require_bit_equal(run, world, tmp_path / "whole")
        world.finish().require()
