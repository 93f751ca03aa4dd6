from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_run import Clock

from robot_rl.errors import DataError
from robot_rl.metrics.reader import MetricsTail, read_metrics
from robot_rl.metrics.records import EvalRecord, EventRecord, LearnerRecord, scalars
from robot_rl.metrics.writer import BackgroundMetricsWriter, MetricsWriter, session_origin
from robot_rl.types import EpisodeSummary


def test_records_come_back_as_they_were(tmp_path: Path, clock: Clock) -> None:
    summary = EpisodeSummary("actor-0", 3, 25, 0.75, 1, 2, 7)
    with MetricsWriter(tmp_path, "learner", tensorboard=False) as writer:
        clock.now_s += 2.5
        writer.episode(summary, step=100)
        writer.write(LearnerRecord(step=100, updates=400, metrics={"critic_loss": 0.5}))
        writer.event("lost the learner", 100, warning=True)
    with MetricsWriter(tmp_path, "evaluator", tensorboard=False) as writer:
        writer.write(EvalRecord(step=50, version=7, episodes=20, successes=19, mean_return=0.9))
    metrics = read_metrics(tmp_path)
    episode = metrics.episodes[0]
    assert (episode.t, episode.step, episode.actor, episode.episode) == (2.5, 100, "actor-0", 3)
    assert (episode.steps, episode.episode_return, episode.success) == (25, 0.75, 1)
    assert (episode.interventions, episode.human_steps) == (2, 7)
    assert metrics.learner[0].metrics == {"critic_loss": 0.5}
    assert metrics.events == [
        EventRecord(t=2.5, step=100, text="lost the learner", level="warning")
    ]
    assert (metrics.evals[0].successes, metrics.evals[0].mean_length) == (19, None)
    assert metrics.unreadable == 0


def test_time_goes_on_where_an_earlier_session_ended(tmp_path: Path, clock: Clock) -> None:
    for _ in range(2):
        with MetricsWriter(tmp_path, "train", tensorboard=False) as writer:
            clock.now_s += 10.0
            writer.event("tick")
        clock.now_s += 3600.0
    assert [event.t for event in read_metrics(tmp_path).events] == [10.0, 20.0]
    assert session_origin(tmp_path) == pytest.approx(clock.now_s - 20.0)


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, "actor", tensorboard=False) as writer:
        writer.event("first")
    path = tmp_path / "metrics" / "actor.jsonl"
    with path.open("ab") as file:
        file.write(b'{"kind":"event","t":1.0,"te')
    assert [event.text for event in read_metrics(tmp_path).events] == ["first"]
    assert read_metrics(tmp_path).unreadable == 0
    with MetricsWriter(tmp_path, "actor", tensorboard=False) as writer:
        writer.event("after the crash")
    metrics = read_metrics(tmp_path)
    assert [event.text for event in metrics.events] == ["first", "after the crash"]
    assert metrics.unreadable == 1


def test_unknown_kinds_and_fields_do_not_stop_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "future.jsonl"
    path.parent.mkdir()
    path.write_text(
        '{"kind":"telepathy","t":1}\n{"kind":"event","t":2,"text":"kept","colour":"red"}\n\xff\n'
    )
    metrics = read_metrics(tmp_path)
    assert [event.text for event in metrics.events] == ["kept"]
    assert metrics.unreadable == 2


def test_not_finite_figures_are_valid_json_and_read_as_none(tmp_path: Path) -> None:
    figures = {"critic_loss": float("nan"), "q": float("inf"), "td": np.float32(0.5)}
    with MetricsWriter(tmp_path, "learner", tensorboard=False) as writer:
        writer.write(LearnerRecord(step=1, updates=np.int64(4), metrics=figures))
    line = (tmp_path / "metrics" / "learner.jsonl").read_text()
    assert json.loads(line, parse_constant=pytest.fail)["updates"] == 4
    read = read_metrics(tmp_path).learner[0]
    assert read.metrics == {"critic_loss": None, "q": None, "td": 0.5}


def test_tail_gives_each_record_once_and_waits_for_line_ends(tmp_path: Path) -> None:
    tail = MetricsTail(tmp_path)
    assert tail.poll() == []
    path = tmp_path / "metrics" / "a.jsonl"
    path.parent.mkdir()
    with path.open("ab", buffering=0) as file:
        file.write(b'{"kind":"event","t":1,"text":"one"}\n{"kind":"event",')
        assert [record.text for record in tail.poll()] == ["one"]  # type: ignore[union-attr]
        assert tail.poll() == []
        file.write(b'"t":2,"text":"two"}\n')
        assert [record.text for record in tail.poll()] == ["two"]  # type: ignore[union-attr]
    assert tail.unreadable == 0


def test_tensorboard_gets_the_finite_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with MetricsWriter(tmp_path, "learner") as writer:
        for step in (1, 2):
            loss = {"critic_loss": 0.5 * step, "q": float("nan")}
            writer.write(LearnerRecord(step=step, updates=step, metrics=loss, queues={"log": 3}))
        writer.event("no figure in this one")
    events = EventAccumulator(str(tmp_path / "tensorboard" / "learner"))
    events.Reload()
    tags = events.Tags()["tensors"] + events.Tags()["scalars"]
    assert "learner/critic_loss" in tags
    assert "learner/queues_log" in tags
    assert "learner/q" not in tags
    name = "learner/critic_loss"
    steps = events.Tensors(name) if name in events.Tags()["tensors"] else events.Scalars(name)
    assert [item.step for item in steps] == [1, 2]


def test_scalars_leave_out_what_was_not_judged() -> None:
    from fake_run import EpisodeRecord

    episode = EpisodeRecord(step=5, actor="a", episode=1, steps=5, episode_return=1.0, success=-1)
    assert "episode/success" not in scalars(episode)
    assert scalars(episode)["episode/episode_return"] == 1.0
    evaluation = EvalRecord(step=5, version=1, episodes=4, successes=3)
    assert scalars(evaluation)["eval/success_rate"] == 0.75


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "a b"])
def test_process_names_are_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="valid: letters"):
        MetricsWriter(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_importing_and_writing_metrics_needs_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from robot_rl.metrics.writer import MetricsWriter\n"
        "w = MetricsWriter(pathlib.Path(sys.argv[1]), 'a', tensorboard=False)\n"
        "w.event('x'); w.close()\n"
        "heavy = {'torch', 'tensorboard', 'rich', 'cv2', 'zmq', 'hydra', 'omegaconf', 'mujoco'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_control_loop_goes_on_when_the_disk_is_full(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """/dev/full refuses every write with ENOSPC, as a full disk does."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "actor.jsonl").symlink_to("/dev/full")
    writer = BackgroundMetricsWriter(tmp_path, "actor", origin_s=0.0)
    for _ in range(3):
        writer.event("goes on")
    writer.close()
    assert writer.dropped == 3
    assert capfd.readouterr().err.count("No space left on device") == 1


def test_a_background_writer_keeps_order_and_writes_all_before_it_closes(tmp_path: Path) -> None:
    with BackgroundMetricsWriter(tmp_path, "actor", origin_s=0.0) as writer:
        for step in range(500):
            writer.event("e", step)
    assert [event.step for event in read_metrics(tmp_path).events] == list(range(500))
    assert writer.dropped == 0
