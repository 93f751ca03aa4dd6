"""Fuzz targets that are a stranger's run folder as `eval` and `report` read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from folder_targets import emptied, every, scratch
from guard import Target
from omegaconf import OmegaConf
from wire_targets import SPEC

from robot_rl.commands.common import numbers_of, settings_of, wire_of
from robot_rl.config import load_config
from robot_rl.factory import agent_name
from robot_rl.metrics.reader import read_metrics
from robot_rl.metrics.records import (
    ActorRecord,
    EpisodeRecord,
    EvalRecord,
    EventRecord,
    LearnerRecord,
    Record,
    RunRecord,
)
from robot_rl.report.page import TEMPLATE, contents
from robot_rl.report.rundata import read_run
from robot_rl.report.templates import render
from robot_rl.runtime.rundir import RunDir, machine

CONFIG = b"seed: 1\nsteps: 2000\nchoices: {task: reach, robot: fr3_sim, agent: sac}\n"


def _numbers(folder: Path) -> None:
    cfg = RunDir(folder).config()
    every(
        lambda: settings_of(cfg),
        lambda: wire_of(cfg),
        lambda: numbers_of(cfg),
        lambda: agent_name(cfg),
    )


def config(data: bytes) -> None:
    """One file of a run folder, as one verb reads it. First byte: 0 config for eval, 1 config for
    report, 2 spec, 3 machine."""
    folder = emptied("run")
    (folder / "config.yaml").write_bytes(CONFIG)
    mode = (data[0] if data else 0) % 4
    file = ("config.yaml", "config.yaml", "spec.json", "run.json")[mode]
    (folder / file).write_bytes(data[1:])
    verbs: tuple[Callable[[], object], ...] = (
        lambda: _numbers(folder),
        lambda: read_run(folder),
        lambda: RunDir(folder).spec(),
        lambda: read_run(folder),
    )
    every(verbs[mode])


def config_seeds() -> list[bytes]:
    cfg = load_config(["agent=sac", "task=reach"])
    keys = ("agent", "wire", "demos", "learner", "choices")
    parts_of = [OmegaConf.to_yaml({key: cfg[key]}).encode() for key in keys]
    odd = [
        b"a: &x [1, 2]\nb: [*x, *x]\n",
        b"seed: ${oc.env:HOME}\nagent: {learner: {_target_: os.getcwd}}\n",
        b"steps: ${seed}\nseed: ${steps}\n",
        b"seed: 1e3\nrun: null\nx: !!python/name:os.system\n",
        b"- 1\n- 2\n",
        b"wire: {address: null, insecure: false, sync_ms: 20.0, spool_sync_ms: 50.0, spool_mb: 9}",
    ]
    return [
        *(b"\0" + text for text in (CONFIG, *parts_of, *odd)),
        *(b"\1" + text for text in (CONFIG, *parts_of, *odd)),
        b"\2" + SPEC.to_json(),
        b"\3" + msgspec.json.encode(machine()),
    ]


def metrics(data: bytes) -> None:
    """Metrics lines as `train` and the console read them; a bad line costs only itself."""
    found = read_metrics(_with_metrics(data + b"\n" + LINE))
    assert "last" in [event.text for event in found.events]
    assert sum(1 for _ in found.all()) + found.unreadable <= data.count(b"\n") + 2


def report(data: bytes) -> None:
    """Metrics lines put into a page; nothing of them becomes markup. What Matplotlib makes of the
    charts is tested with them (tests/report/test_charts.py): it takes more than a target may."""
    found = contents(read_run(_with_metrics(data)))
    assert "<script" not in render(TEMPLATE, **found | {"curve": None, "charts": []})


def _with_metrics(data: bytes) -> Path:
    folder = scratch() / "metrics-run"
    (folder / "metrics").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_bytes(CONFIG)
    (folder / "metrics" / "learner.jsonl").write_bytes(data)
    return folder


def metrics_seeds() -> list[bytes]:
    records: list[Record] = [
        RunRecord(t=0.1, task="reach", robot="fr3_sim", agent="sac", seed=1, steps=2000, utd=4.0),
        EpisodeRecord(
            t=1.0, step=50, actor="a", episode=0, steps=50, episode_return=3.5, success=1
        ),
        EpisodeRecord(
            t=2.0,
            step=90,
            actor="<script>a",
            episode=1,
            steps=40,
            episode_return=None,
            success=-1,
            interventions=2,
            human_steps=9,
        ),
        LearnerRecord(
            t=3.0,
            step=90,
            updates=300,
            updates_per_s=120.0,
            utd_true=4.0,
            version=3,
            staleness=0.5,
            queues={"ring": 2},
            metrics={"critic_loss": 0.5, "q_mean": None},
            seconds={"update": 1.5, "wait": 0.5},
        ),
        LearnerRecord(t=5.0, step=95, updates=340, metrics={"critic_loss": 0.4}),
        ActorRecord(t=3.5, step=40, actor="a", steps_per_s=9.9, overruns=1, seconds={"policy": 1}),
        EvalRecord(t=6.0, step=90, version=3, episodes=20, successes=18, mean_return=5.0),
        EvalRecord(t=7.0, step=95, version=4, episodes=20, successes=19, mean_length=30.5),
        EventRecord(t=8.0, step=95, text="<b>done</b>", level="warning", done=True),
    ]
    lines = [msgspec.json.encode(record) + b"\n" for record in records]
    return [*lines, b"".join(lines), b"".join(lines)[:-9]]


LINE = b'{"kind":"event","text":"last"}\n'
REPORT = (
    "robot_rl.report.rundata",
    "robot_rl.report.page",
    "robot_rl.report.plots",
    "robot_rl.report.charts",
    "robot_rl.report.findings",
    "robot_rl.report.statistics",
)
TARGETS = (
    Target("config", config, config_seeds, ("robot_rl.stored_config", "robot_rl.runtime.rundir")),
    Target("metrics", metrics, metrics_seeds, ("robot_rl.metrics.writer",)),
    Target("report", report, metrics_seeds, REPORT),
)
