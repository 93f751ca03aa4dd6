"""Numbers, paths and sweeps as people write them in a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import Refused

from robot_rl.cli import at_home, main
from robot_rl.commands.common import settings_of
from robot_rl.config import load_config, parse_value
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env
from robot_rl.runtime.rundir import RunDir


def test_a_home_folder_is_expanded_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    words = ["demos.path=~/x", "--out=~/d", "~/runs/a", "run=runs/a~b", "~agent.learner.lr"]
    expected = [
        "demos.path=/home/me/x", "--out=/home/me/d", "/home/me/runs/a", "run=runs/a~b",
        "~agent.learner.lr",
    ]  # fmt: skip
    assert [at_home(word) for word in words] == expected


@pytest.mark.parametrize(
    "name", ["runs/größe", "runs/two words", "runs/a~b", "runs/50%", "実験/1", "a@b:c;d"]
)
def test_names_beyond_hydras_alphabet(name: str) -> None:
    if ":" not in name:
        assert load_config([f"run={name}"]).run == name
    else:
        assert parse_value(f"run='{name}'") == name


def test_what_cannot_be_read_is_answered_with_quoting(refused: Refused) -> None:
    line = refused("train", "run=runs/a(b)")
    assert "put quotes within quotes: 'run=\"…\"'" in line
    assert "several values; valid: one" in refused("train", "steps=10,20")


@pytest.mark.parametrize("steps", ["1e4", "10000.0", "10000", "+1E+4"])
def test_whole_numbers_however_they_are_written(steps: str) -> None:
    assert settings_of(load_config([f"steps={steps}"])).steps == 10_000


def test_what_is_no_whole_number(refused: Refused) -> None:
    assert "steps: expected `int`" in refused("train", "steps=1.5", "run=r")
    assert "max_steps" in refused("train", "task.max_steps=4.5", "run=r")
    assert not Path("r").exists()


def test_a_foreign_environments_keys_need_no_plus() -> None:
    cfg = load_config(["env=gym", "env.id=Pendulum-v1", "env.kwargs.g=5", "env.max_steps=1e2"])
    env = make_env(cfg)
    assert env.native.g == 5
    assert env.time_limit == 100
    with pytest.raises(ConfigError, match=r"unknown key 'env\.kwarg\.g'"):
        load_config(["env=gym", "env.kwarg.g=5"])


@pytest.mark.parametrize("run", ["/proc/nothing/r", "file/r"])
def test_a_folder_that_cannot_be_made(run: str, refused: Refused) -> None:
    Path("file").touch()
    words = ("train", "env=gym", "agent=sac", f"run={run}")
    assert f"run={run} cannot be made" in refused(*words)
    assert f"'{run}' cannot be made" in refused("record", "task=reach", f"--out={run}")


def test_a_gpu_that_is_not_there(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for verb in ("train", "learner"):
        line = refused(verb, "agent=sac", "run=runs/r", "agent.learner.device=cuda:1")
        assert "agent.learner.device=cuda:1, but torch finds no CUDA device" in line
    assert not Path("runs").exists(), "nothing is left, the folder above neither"


def test_a_folder_beside_others_leaves_those() -> None:
    Path("runs/other").mkdir(parents=True)
    with RunDir(Path("runs/r")).lock():
        pass
    assert [path.name for path in Path("runs").iterdir()] == ["other"]


@pytest.mark.parametrize("key", ["run", "resume"])
def test_a_sweep_into_one_folder_is_refused_at_once(key: str, refused: Refused) -> None:
    line = refused("train", "-m", "seed=0,1", f"{key}=runs/sw")
    assert f"'{key}=runs/sw' is one folder for 2 runs" in line
    assert "run=runs/sweep-${seed}" in line


def test_a_sweep_may_name_its_folders(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", "seed=0,1", "run=runs/s-${seed}", "env=gym", "agent=sac", "steps=0"]
    assert main(words) == 2
    assert capfd.readouterr().err.count("steps: expected `int` >= 1") == 2
