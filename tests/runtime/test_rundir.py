"""A run's folder and its directory in memory: whose is what when folders come, go and move."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from robot_rl.config import load_config
from robot_rl.errors import DataError, InUseError
from robot_rl.runtime.rundir import RunDir
from robot_rl.wire.addresses import clear_runtime_directory


def made(path: Path) -> RunDir:
    folder = RunDir(path)
    folder.create(load_config(["agent=sac", "task=reach"]))
    return folder


def test_what_a_killed_run_left_in_memory_is_not_the_next_ones(tmp_path: Path) -> None:
    """Its folder was thrown away and the path used again: rings there belong to another run."""
    first = made(tmp_path / "a b")
    left = first.runtime() / "actor-0.7.ring"
    left.write_bytes(b"records")
    shutil.rmtree(first.path)
    second = made(tmp_path / "a b")
    assert second.runtime() != left.parent
    assert not list(second.runtime().iterdir())
    shutil.rmtree(left.parent)
    assert clear_runtime_directory(second.runtime())


def test_a_run_that_was_moved_finds_what_it_left_in_memory(tmp_path: Path) -> None:
    first = made(tmp_path / "a")
    runtime = first.runtime()
    first.path.rename(tmp_path / "b")
    assert RunDir(tmp_path / "b").runtime() == runtime
    assert clear_runtime_directory(runtime)


def test_a_copy_is_a_run_of_its_own(tmp_path: Path) -> None:
    """Several can go on from one run, at the same time."""
    first = made(tmp_path / "a")
    shutil.copytree(first.path, tmp_path / "b")
    second = RunDir(tmp_path / "b")
    assert second.runtime() != first.runtime()
    assert clear_runtime_directory(first.runtime())
    assert clear_runtime_directory(second.runtime())


def test_a_folder_with_a_run_is_not_made_anew(tmp_path: Path) -> None:
    folder = made(tmp_path / "a")
    known = (folder.path / "id").read_bytes()
    with pytest.raises(InUseError, match="holds a run already; valid: another run=<folder>"):
        made(tmp_path / "a")
    assert (folder.path / "id").read_bytes() == known


@pytest.mark.parametrize("text", [b"", b"../../../home", b"x" * 500, b"\xff\xfe", b"a-12345678/.."])
def test_a_damaged_id_is_an_error_that_names_the_file(tmp_path: Path, text: bytes) -> None:
    folder = made(tmp_path / "a")
    (folder.path / "id").write_bytes(text)
    with pytest.raises(DataError, match="/a/id"):
        folder.runtime()


def test_who_holds_a_run_without_an_id_gives_it_one(tmp_path: Path) -> None:
    """As runs were before they had one."""
    folder = made(tmp_path / "a")
    (folder.path / "id").unlink()
    with pytest.raises(DataError, match="valid: a folder of a run"):
        folder.runtime()
    with folder.lock():
        runtime = folder.runtime()
    assert folder.runtime() == runtime
    assert clear_runtime_directory(runtime)
