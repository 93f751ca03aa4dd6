"""A log of format 1, made by the version before records had plans: opens, trains, is left alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from robot_rl.cli import main
from robot_rl.commands.learner_process import load_episodes, plant_of
from robot_rl.data.dataset_info import dataset_info, verify
from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.data.manifest import VERSION, read_manifest
from robot_rl.errors import DataError, SpecError
from robot_rl.ingest.log_counts import open_log
from robot_rl.runtime.rundir import RunDir
from robot_rl.runtime.settings import DemoSettings
from robot_rl.types import Purpose
from robot_rl.wire.record import record_dtype, to_transition

OLD = Path(__file__).parent / "log_v1"
CAMERAS = ("wrist", "external")


def test_its_records_have_todays_layout_and_defaults() -> None:
    with LogReader(OLD) as reader:
        chunks = list(reader.chunks())
        assert reader.manifest.version == 1 < VERSION
    spec = reader.spec
    records = np.concatenate([chunk.records for chunk in chunks])
    assert records.dtype == record_dtype(spec)
    assert len(records) == 16
    assert (records["purpose"] == Purpose.TRAINING).all()
    for name in ("plan", "plan_step", "noise_seed", "spare"):
        assert not records[name].any(), name
    assert np.isnan(records["value"]).all()
    for camera in CAMERAS:
        assert (records[f"stamp.{camera}"] == records["stamp_ns"]).all()
    assert (np.diff(records["stamp_ns"][:5]) > 0).all(), "the old fields are where they belong"
    assert np.isfinite(records["obs.state"]).all()
    assert np.abs(records["action"]).max() <= 1
    step = to_transition(records[0], records[1], actor="a", epoch=1)
    assert step.purpose is Purpose.TRAINING
    assert step.stamps == dict.fromkeys(CAMERAS, step.stamp_ns)
    assert step.extras == {}


def test_its_specification_is_read_and_agrees_with_todays() -> None:
    spec = read_manifest(OLD).spec
    assert spec.command_layout == (("", 8),)
    assert spec.command_dim == 8
    assert dict(spec.facts)["judged_tolerance"] == "0.015"
    assert "limit_velocity" in dict(spec.plant)
    assert "leash" in dict(spec.plant)
    assert not {"limit_velocity", "leash", "gripper_range"} & set(dict(spec.facts))
    named = replace(spec, command_layout=(("pose", 7), ("width", 1)))
    assert spec.differences(named) == named.differences(spec) == []
    longer = replace(spec, command_layout=(("pose", 7), ("width", 2)))
    assert [line.partition(":")[0] for line in spec.differences(longer)] == ["command_layout"]
    LogReader(OLD, named)
    with pytest.raises(SpecError, match="command_layout"):
        LogReader(OLD, longer)


def test_everything_that_reads_a_log_reads_it() -> None:
    info = dataset_info(OLD)
    assert (info["format"], info["evaluation"]) == (1, {})
    assert info["episodes"] == len(list(read_episodes(OLD))) > 0
    assert verify(OLD)["records"] == info["records"]
    with LogReader(OLD, position=5) as late, LogReader(OLD) as whole:
        rest = np.concatenate([chunk.records for chunk in late.chunks()])
        every = np.concatenate([chunk.records for chunk in whole.chunks()])
    assert rest.tobytes() == every[5:].tobytes()


def test_going_on_with_it_is_refused_and_says_how(tmp_path: Path) -> None:
    path = tmp_path / "log"
    shutil.copytree(OLD, path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    spec = read_manifest(path).spec
    for attempt in (lambda: LogWriter.open(path, spec), lambda: open_log(path, "")):
        with pytest.raises(DataError, match=rf"log of format 1.*demos\.path={path}"):
            attempt()
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_a_run_with_one_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunDir(tmp_path / "run")
    folder.path.mkdir()
    shutil.copytree(OLD, folder.log)
    OmegaConf.save(OmegaConf.create({"seed": 0}), folder.path / "config.yaml")
    assert main(["train", f"resume={folder.path}"]) == 2
    said = capsys.readouterr().err
    assert "is a log of format 1" in said
    assert said.count("\n") == 1, "one line"


def test_its_episodes_are_demonstrations_of_a_run_of_today() -> None:
    spec = replace(read_manifest(OLD).spec, command_layout=(("pose", 7), ("width", 1)), plant=())
    demos = DemoSettings(path=str(OLD), folder="", episodes=1, seed=0, noise=0.0)
    (rows,) = load_episodes(demos.path, spec, demos.episodes)
    assert rows.dtype == record_dtype(spec)
    assert "plant limit_velocity: none != 0.3" in plant_of(demos, spec), "told, not refused"


@pytest.mark.slow
def test_a_run_of_today_trains_from_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["task=reach", "camera=two", "robot.image_size=[16,16]", f"demos.path={OLD}"]
    words += ["agent=rlpd_image", "agent.replay.warmup_steps=20", "agent.learner.compile=false"]
    words += ["steps=40", "evaluation.episodes=1", f"run={run}", "console=false"]
    assert main(["train", *words]) == 0
    assert dataset_info(run / "log")["transitions_logged"] >= 40
