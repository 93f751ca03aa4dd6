"""Learner and actor as separate commands over TCP: the learner dies, the actor goes on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from robot_rl.data.log_reader import LogReader
from robot_rl.metrics.reader import read_metrics
from robot_rl.types import Source
from robot_rl.wire.record import Kind

AGENT = [
    "agent=sac",
    "agent.replay.warmup_steps=30",
    "agent.replay.batch_size=16",
    "agent.replay.utd=1",
    "agent.learner.hidden=[32,32]",
    "agent.learner.compile=false",
    "learner.checkpoint_every=20",
]


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "robot_rl.cli", *words, "console=false"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def acted(run: Path) -> int:
    """Steps the actor says it took."""
    return max((record.step for record in read_metrics(run).actors), default=0)


def logged(run: Path) -> int:
    """Steps in the learner's log, each counted once and in order."""
    if not (run / "log" / "manifest.json").exists():
        return 0
    steps, lives = 0, dict[int, list[int]]()
    for chunk in LogReader(run / "log").chunks():
        steps += int((chunk.records["kind"] == Kind.STEP).sum())
        lives.setdefault(chunk.header.epoch, []).extend(chunk.records["sequence"].tolist())
    assert all(sequences == list(range(len(sequences))) for sequences in lives.values())
    return steps


def said(run: Path) -> list[str]:
    """What was worth a line, in order."""
    return [record.text for record in read_metrics(run).events]


def episodes(run: Path) -> list[tuple[int, int, int, int]]:
    """Number, steps, takeovers and human steps of each episode that its metrics tell."""
    found = read_metrics(run).episodes
    return [(e.episode, e.steps, e.interventions, e.human_steps) for e in found]


def test_an_actor_that_stands_says_why(tmp_path: Path) -> None:
    """First nobody listens, then a learner comes, then it dies under the actor's hands."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"wire.address=tcp://127.0.0.1:{free.getsockname()[1]}"
    learner_run, actor_run = tmp_path / "learner", tmp_path / "actor"
    words = ["task=reach", "agent=sac", "agent.learner.hidden=[32,32]", "actor.real_time=true"]
    actor = start(tmp_path, "actor", *words, address, f"run={actor_run}")
    learner = None
    try:
        assert wait_for(lambda: any("is not there" in line for line in said(actor_run)), 60)
        (why,) = [line for line in said(actor_run) if "actor-0 holds" in line]
        assert why.endswith("is not there; it goes on when the learner is back")
        assert acted(actor_run) == 0
        assert wait_for(lambda: bool(read_metrics(actor_run).actors), 60), "it reports all the same"
        learner = start(tmp_path, "learner", *AGENT, address, "steps=100000", f"run={learner_run}")
        assert wait_for(lambda: acted(actor_run) > 20, 60)
        assert said(actor_run)[-1] == "actor-0 goes on"
        depths = read_metrics(actor_run).actors[-1].queues
        assert set(depths) == {"actor-0 ring", "actor-0 spool, kB"}
        learner.kill()
        assert wait_for(lambda: "is not there" in said(actor_run)[-1], 60)
    finally:
        for process in (learner, actor):
            if process is not None:
                process.kill()


def test_what_an_actor_saw_alone_is_sent_by_its_next_session(tmp_path: Path) -> None:
    """Both ends were gone: a new session of that actor names the folder, and resuming it sends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"wire.address=tcp://127.0.0.1:{free.getsockname()[1]}"
    words = ["--id", "left", "task=reach", "agent=sac", "agent.learner.hidden=[32,32]", address]
    alone = start(tmp_path, "actor", *words, "actor.wait=never", "actor.real_time=true")
    try:
        assert wait_for(lambda: any(acted(run) > 20 for run in tmp_path.glob("runs/left-*")), 60)
    finally:
        alone.kill()
        alone.wait()
    (run,) = tmp_path.glob("runs/left-*")
    seen = acted(run)
    told = begun_and_killed(tmp_path, *words, "run=another")
    assert f"robot-rl actor resume={run.relative_to(tmp_path)} sends them" not in told
    told = begun_and_killed(tmp_path, *words)
    assert f"robot-rl actor resume={run.relative_to(tmp_path)} sends them" in told
    told = begun_and_killed(tmp_path, f"resume={run}", "--id", "right")
    assert f"--id right: {run} acted as left" in told
    learner_run = tmp_path / "learner"
    learner = start(tmp_path, "learner", *AGENT, address, "steps=100000", f"run={learner_run}")
    listening = learner_run / "logs/ingest.log"
    assert wait_for(lambda: listening.exists() and "READY" in listening.read_text(), 60)
    resumed = start(tmp_path, "actor", f"resume={run}", "actor.wait=step")
    try:
        assert wait_for(lambda: logged(learner_run) >= seen, 60), "the spool was not sent"
    finally:
        for process in (learner, resumed):
            process.kill()


def begun_and_killed(folder: Path, *words: str) -> str:
    """What an actor says before its run begins, or why it does not."""
    command = [sys.executable, "-m", "robot_rl.cli", "actor", *words]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("run:"):
            break
    process.kill()
    process.wait()
    return "".join(lines)


def test_a_learner_apart_is_evaluated_there_and_later(tmp_path: Path) -> None:
    """It has no specification of its own: its first actor's, which lies in the log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"wire.address=tcp://127.0.0.1:{free.getsockname()[1]}"
    run = tmp_path / "learner"
    words = [*AGENT, address, "task=reach", "steps=60", "evaluation.every=30"]
    words += ["evaluation.episodes=1", f"run={run}"]
    learner = start(tmp_path, "learner", "--evaluator", *words)
    actor = start(
        tmp_path, "actor", "task=reach", "agent=sac", "agent.learner.hidden=[32,32]", address,
        f"run={tmp_path / 'actor'}",
    )  # fmt: skip
    try:
        assert learner.wait(120) == 0
    finally:
        for process in (learner, actor):
            process.kill()
    assert [record.step for record in read_metrics(run).evals] == [30, 60]
    assert [record.task for record in read_metrics(run).runs] == ["", "reach"], "its actor's"
    evaluate = [sys.executable, "-m", "robot_rl.cli", "eval", str(run), "--episodes", "1"]
    done = subprocess.run(evaluate, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_actor_goes_on_without_its_learner(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"wire.address=tcp://127.0.0.1:{free.getsockname()[1]}"
    learner_run, actor_run = tmp_path / "learner", tmp_path / "actor"
    learner_words = ["learner", *AGENT, address, "steps=100000", f"run={learner_run}"]
    teleop = ["teleop=scripted", "teleop.every=20", "teleop.length=5"]
    learner = start(tmp_path, *learner_words)
    actor = start(
        tmp_path, "actor", "task=reach", "agent=sac", "agent.learner.hidden=[32,32]",
        "actor.wait=never", "actor.real_time=true", address, f"run={actor_run}", *teleop,
    )  # fmt: skip
    try:
        assert wait_for(
            lambda: any(record.updates > 40 for record in read_metrics(learner_run).learner), 90
        )
        learner.kill()
        learner.wait()
        at_death = acted(actor_run)
        assert wait_for(lambda: acted(actor_run) > at_death + 30, 60), "the actor stopped"
        assert actor.poll() is None
        assert wait_for(lambda: "acts on with weights" in said(actor_run)[-1], 60)
        learner = start(tmp_path, "learner", f"resume={learner_run}")
        assert wait_for(lambda: logged(learner_run) > at_death + 30, 60), "nothing came after all"
        actor.send_signal(signal.SIGINT)
        assert actor.wait(60) == 0
        total = acted(actor_run)
        assert wait_for(lambda: logged(learner_run) >= total, 60)
        known = episodes(actor_run)
        assert len(known) >= 2
        assert wait_for(lambda: episodes(learner_run) == known, 60), "the log tells them, each once"
        learner.send_signal(signal.SIGINT)
        assert learner.wait(60) == 130
    finally:
        for process in (learner, actor):
            process.kill()
    sources = [
        int(source)
        for chunk in LogReader(learner_run / "log").chunks()
        for source in chunk.records["source"][chunk.records["kind"] == Kind.STEP]
    ]
    assert {Source.POLICY, Source.HUMAN} <= {Source(source) for source in sources}
    assert 0.15 < sources.count(Source.HUMAN) / len(sources) < 0.35
