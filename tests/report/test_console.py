from __future__ import annotations

import errno
import io
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_run import Clock, config_text, write_run
from rich.console import Console

from robot_rl.metrics.console import RunConsole, duration, number, plain_line, render, sparkline
from robot_rl.metrics.records import (
    ActorRecord,
    EpisodeRecord,
    EvalRecord,
    EventRecord,
    LearnerRecord,
    RunRecord,
)
from robot_rl.metrics.view import RunView, RunWatcher
from robot_rl.metrics.writer import MetricsWriter


def episode(t: float, steps: int, success: int, actor: str = "actor-0") -> EpisodeRecord:
    return EpisodeRecord(
        t=t, step=0, actor=actor, episode=1, steps=steps, episode_return=success, success=success
    )


def shown(view: RunView, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(render(view))
    return console.export_text()


def test_view_follows_the_records() -> None:
    view = RunView()
    assert (view.success, view.env_steps_per_s, view.left_s, view.phase) == (
        None,
        None,
        None,
        "starting",
    )
    view.update(RunRecord(task="reach", robot="r", agent="rlpd", steps=1000, utd=4))
    for index in range(1, 31):
        view.update(episode(2.0 * index, 10, int(index > 15), f"actor-{index % 2}"))
    assert view.phase == "collecting"
    assert view.step == 300
    assert view.success == 15 / 20
    assert view.env_steps_per_s == pytest.approx(5.0)
    assert view.left_s == pytest.approx(700 / 5.0)
    view.update(LearnerRecord(t=61.0, step=305, updates=800, updates_per_s=20.0, utd_true=3.9))
    assert (view.phase, view.step, view.updates) == ("learning", 305, 800)
    for actor, speed in (("actor-0", 3.0), ("actor-1", 4.0)):
        view.update(ActorRecord(t=61.5, step=150, actor=actor, steps_per_s=speed, staleness=2.0))
    assert view.env_steps_per_s == 7.0
    assert view.staleness == 2.0
    view.update(EventRecord(t=62.0, text="done", done=True))
    assert (view.phase, view.left_s) == ("done", None)


def test_an_episode_that_nobody_judged_counts_for_no_success_rate() -> None:
    view = RunView()
    view.update(episode(1.0, 10, -1))
    assert view.success is None
    view.update(episode(2.0, 10, 1))
    assert view.success == 1.0


@pytest.mark.parametrize("width", [60, 80, 140])
def test_panel_shows_every_figure_within_the_width(
    tmp_path: Path, clock: Clock, width: int
) -> None:
    watcher = RunWatcher(write_run(tmp_path / "run", clock, steps=4000))
    assert watcher.poll() > 100
    assert watcher.poll() == 0
    watcher.view.update(EventRecord(text="actor-0 lost the learner", level="warning"))
    text = shown(watcher.view, width)
    assert max(len(line) for line in text.splitlines()) <= width
    for words in (
        "pick_cube",
        "rlpd",
        "4,000 / 4,000 steps",
        "episode",
        "success",
        "return",
        "env steps/s",
        "updates/s",
        "update-to-data",
        "of 4",
        "staleness",
        "log ",
        "ring ",
        "at step",
        "! actor-0 lost the learner",
    ):
        assert words in text


def test_an_empty_view_shows_dashes_not_errors() -> None:
    assert "starting" in shown(RunView(run_dir="runs/x"))
    assert "success –" in plain_line(RunView())


def test_text_of_a_run_is_not_taken_for_markup() -> None:
    view = RunView(task="[red]x[/red]")
    view.update(EventRecord(text="[bold]oops[/nothing]", level="warning"))
    assert "[red]x[/red]" in shown(view)
    assert "[bold]oops[/nothing]" in shown(view)


def test_without_a_terminal_a_line_now_and_then(tmp_path: Path, clock: Clock) -> None:
    run = write_run(tmp_path / "run", clock, steps=1000)
    stream = io.StringIO()
    with RunConsole(RunWatcher(run), stream=stream, plain_every_s=3600.0) as console:
        for _ in range(5):
            console.refresh()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "step 1000/1000" in lines[0]
    assert "eval" in lines[0]
    assert "\x1b" not in stream.getvalue()


def test_nothing_new_is_said_once_a_minute(tmp_path: Path, clock: Clock) -> None:
    """An actor that waits for its learner all night fills no disk."""
    run = write_run(tmp_path / "run", clock, steps=1000)
    stream = io.StringIO()
    with RunConsole(RunWatcher(run), stream=stream, plain_every_s=0.0) as console:
        for _ in range(50):
            clock.now_s += 2.0
            with MetricsWriter(run, "actor-0", origin_s=0.0) as metrics:
                metrics.write(ActorRecord(step=1000, actor="actor-0", steps_per_s=0.0))
            console.refresh()
    assert len(stream.getvalue().splitlines()) == 1


def rest_of(terminal: int) -> bytes:
    """Everything until the other end closes, which Linux tells as an I/O error."""
    output = b""
    while True:
        try:
            output += os.read(terminal, 65536)
        except OSError as error:
            if error.errno == errno.EIO:
                return output
            raise


def test_ctrl_c_restores_the_terminal_and_leaves_the_last_state(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config_text())
    with MetricsWriter(tmp_path, "train", tensorboard=False) as writer:
        writer.write(RunRecord(task="pick_cube", robot="fr3_sim", agent="rlpd", steps=100))
        writer.write(EvalRecord(step=50, version=1, episodes=20, successes=19))
    code = (
        "import sys, time, pathlib\n"
        "from robot_rl.metrics.console import RunConsole\n"
        "from robot_rl.metrics.view import RunWatcher\n"
        "with RunConsole(RunWatcher(pathlib.Path(sys.argv[1]))) as console:\n"
        "    while True:\n"
        "        console.refresh(); time.sleep(0.01)\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(theirs)
    output = b""
    deadline = time.monotonic() + 60
    while b"19/20" not in output and time.monotonic() < deadline:
        output += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    output += rest_of(ours)
    _, errors = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in errors
    assert output.count(b"\x1b[?25l") == output.count(b"\x1b[?25h") == 1  # cursor back


def test_small_texts() -> None:
    assert [duration(s) for s in (8, 125, 3725)] == ["8 s", "2:05", "1:02:05"]
    assert [number(v) for v in (None, float("nan"), 0.12345, 41.26, 12345.6)] == [
        "–",
        "–",
        "0.123",
        "41.3",
        "12,346",
    ]
    assert sparkline([0.0, 0.5, 1.0, 2.0]) == "▁▅██"
