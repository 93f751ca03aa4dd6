"""Real processes train together over real sockets: whole runs, interrupted, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_rl.data.log_reader import LogReader
from robot_rl.metrics.reader import read_metrics
from robot_rl.runtime.rundir import RunDir
from robot_rl.wire.record import Kind

TINY = [
    "task=reach",
    "agent.replay.warmup_steps=40",
    "agent.replay.batch_size=16",
    "agent.replay.utd=2",
    "agent.learner.hidden=[32,32]",
    "agent.learner.compile=false",
    "learner.metrics_every=20",
    "evaluation.episodes=2",
    "evaluation.video_episodes=1",
    "demos.episodes=3",
]


def robot_rl(*words: str) -> list[str]:
    return [sys.executable, "-m", "robot_rl.cli", *words]


def train(folder: Path, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = robot_rl("train", "--json", *words)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)


def family(run_dir: Path) -> list[int]:
    """Processes whose command line or open log names the run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(run_dir) in words and state != "Z":
                found.append(int(entry.name))
    return found


def wait_for(condition: object, seconds: float) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, object]]]:
    """A whole run of 120 steps with two actors."""
    folder = tmp_path_factory.mktemp("train")
    done = train(folder, *TINY, "steps=120", "evaluation.every=60", "actors=2", f"run={folder}/run")
    assert done.returncode == 0, done.stderr
    return folder / "run", json.loads(done.stdout)


def test_a_run_trains_evaluates_and_reports(finished: tuple[Path, dict[str, object]]) -> None:
    run_dir, summary = finished
    assert summary["finished"] is True
    assert summary["updates"] == 240
    metrics = read_metrics(run_dir)
    assert [record.step for record in metrics.evals] == [60, 120]
    assert all(record.episodes == 2 for record in metrics.evals)
    assert {record.actor for record in metrics.actors} <= {"actor-0", "actor-1"}
    page = (run_dir / "report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (run_dir / "evaluation.mp4").stat().st_size > 1000


def test_the_log_holds_every_granted_step_once(finished: tuple[Path, dict[str, object]]) -> None:
    run_dir, _ = finished
    seen: dict[tuple[str, int], list[int]] = {}
    steps = 0
    for chunk in LogReader(run_dir / "log").chunks():
        key = (chunk.header.actor, chunk.header.epoch)
        seen.setdefault(key, []).extend(chunk.records["sequence"].tolist())
        steps += int((chunk.records["kind"] == Kind.STEP).sum())
    assert steps == 120
    assert {actor for actor, _ in seen} == {"actor-0", "actor-1"}
    for sequences in seen.values():
        assert sequences == list(range(len(sequences)))


def test_updates_never_exceed_the_ratio(finished: tuple[Path, dict[str, object]]) -> None:
    run_dir, _ = finished
    ratios = [record.utd_true for record in read_metrics(run_dir).learner]
    assert ratios
    assert max(ratio for ratio in ratios if ratio is not None) <= 2.0
    assert ratios[-1] == 2.0


def test_no_process_is_left(finished: tuple[Path, dict[str, object]]) -> None:
    run_dir, _ = finished
    assert wait_for(lambda: not family(run_dir), 60), family(run_dir)
    runtime = RunDir(run_dir).runtime()
    assert not list(runtime.iterdir()), "what was in memory is gone"
    runtime.rmdir()


def test_evaluation_is_deterministic(finished: tuple[Path, dict[str, object]]) -> None:
    run_dir, _ = finished
    words = robot_rl("eval", "--json", "--episodes", "3", "--seed", "5", str(run_dir))
    results = [
        json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        for line in (words, words, [*words, "--sampled"], [*words, "--sampled"])
    ]
    assert results[0] == results[1]
    assert len(results[0]["per_episode"]) == 3
    assert results[2] == results[3], "what is drawn comes from the episode's seed"
    assert [result["sampled"] for result in results] == [False, False, True, True]


def test_a_finished_run_goes_on_with_more_steps(finished: tuple[Path, dict[str, object]]) -> None:
    run_dir, _ = finished
    done = train(run_dir.parent, f"resume={run_dir}", "steps=160")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["updates"] == 320
    assert read_metrics(run_dir).learner[-1].step == 160


def test_ctrl_c_saves_and_leaves_nothing(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    words = robot_rl(
        "train", *TINY, "steps=100000", "evaluation.every=100000", f"run={run_dir}", "console=false"
    )
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        learning = wait_for(
            lambda: any(record.updates > 100 for record in read_metrics(run_dir).learner), 60
        )
        assert learning
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
        assert process.returncode == 130
    finally:
        process.kill()
    assert not family(run_dir)
    assert f"robot-rl train resume={run_dir}" in printed
    assert f"robot-rl eval {run_dir}" in printed
    assert not list((run_dir / "policies").glob("*")), "before the first evaluation"
    words = robot_rl("eval", "--json", "--episodes", "1", str(run_dir))
    told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert told["env_steps"] > 0, "of the checkpoint"
    assert list((run_dir / "checkpoints").glob("block-*"))
    block = max(record.updates for record in read_metrics(run_dir).learner) // 2
    done = train(tmp_path, f"resume={run_dir}", f"steps={block + 40}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["updates"] == 2 * (block + 40)


def test_kill_9_of_train_leaves_no_child(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    words = robot_rl("train", *TINY, "steps=100000", f"run={run_dir}", "console=false")
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: len(family(run_dir)) >= 5, 60), family(run_dir)
        time.sleep(1.0)
    finally:
        process.kill()
        process.wait()
    assert wait_for(lambda: not family(run_dir), 60), family(run_dir)


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A run without end, some steps in."""
    command = robot_rl("train", *TINY, "steps=100000", f"run={folder}/run", "console=false", *words)
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert wait_for(lambda: any(r.step > 20 for r in read_metrics(folder / "run").episodes), 60)
    return process


def test_an_operators_stop_ends_the_run_and_it_can_go_on(tmp_path: Path) -> None:
    """Its learner once waited for ever, in silence, for actors that had ended."""
    process = begun(tmp_path)
    watch = robot_rl("watch", f"{tmp_path}/run", "--stop")
    assert subprocess.run(watch, capture_output=True, timeout=60).returncode == 0
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "every actor has ended; resume=" in printed
    assert family(tmp_path / "run") == []
    steps = read_metrics(tmp_path / "run").learner[-1].step
    done = train(tmp_path, f"resume={tmp_path}/run", f"steps={steps + 40}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["io-0", "ingest"])
def test_a_process_that_ends_unasked_ends_the_run_in_words(name: str, tmp_path: Path) -> None:
    """Also when it ends well: the run would stand still without it."""
    process = begun(tmp_path)
    module = {"io-0": "robot_rl.runtime.io", "ingest": "robot_rl.ingest.process"}[name]
    (victim,) = [
        number
        for number in family(tmp_path / "run")
        if module in Path(f"/proc/{number}/cmdline").read_text().split("\0")
    ]
    os.kill(victim, signal.SIGTERM)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"{name} ended with exit code 0" in printed
    assert family(tmp_path / "run") == []
