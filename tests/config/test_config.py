"""Configuration mistakes end in one readable error naming the key, the file and what is valid."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from robot_rl.commands.common import numbers_of, settings_of
from robot_rl.config import build, convert, load_config
from robot_rl.errors import ConfigError
from robot_rl.runtime.settings import RunSettings


def test_defaults_compose_and_are_typed() -> None:
    cfg = load_config()
    assert isinstance(settings_of(cfg), RunSettings)
    assert cfg.choices.task == "pick_cube"
    assert numbers_of(cfg).utd >= 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("stepz=5", ["stepz", "did you mean 'steps'", "configs/train.yaml"]),
        ("learner.publish_evry=5", ["publish_evry", "did you mean 'publish_every'"]),
        ("agent.replay.utdd=5", ["utdd", "did you mean 'utd'", "configs/agent/rlpd.yaml"]),
        ("task=pick_cub", ["pick_cub", "configs/task/", "did you mean 'pick_cube'"]),
        ("steps", ["'steps' is not an override", "key=value"]),
        ("seed.x=1", ["seed", "single value"]),
    ],
)
def test_unknown_keys_and_choices(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([override])
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("steps=many", ["steps", "int", "str"]),
        ("steps=0", ["steps", "1"]),
        ("actor.wait=sometimes", ["actor.wait", "sometimes"]),
        ("console=3", ["console", "bool"]),
    ],
)
def test_wrong_types(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(load_config([override]))
    for word in words:
        assert word in str(caught.value)


def test_missing_config_folder() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(folders=[Path("nowhere")])


def test_run_and_resume_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        settings_of(load_config(["run=a", "resume=b"]))


class Gadget:
    def __init__(self, size: int, name: str = "x", parts: tuple[float, ...] = ()) -> None:
        self.size, self.name, self.parts = size, name, parts


TARGET = f"{__name__}.Gadget"


def test_build_checks_names_and_types() -> None:
    made = build({"_target_": TARGET, "size": 3, "parts": [1, 2.5]}, "here")
    assert (made.size, made.parts) == (3, (1.0, 2.5))
    with pytest.raises(ConfigError, match=r"here: 'sise' is no parameter.*did you mean 'size'"):
        build({"_target_": TARGET, "sise": 3}, "here")
    with pytest.raises(ConfigError, match=r"here: size.*int.*'big'"):
        build({"_target_": TARGET, "size": "big"}, "here")
    with pytest.raises(ConfigError, match="also needs size"):
        build({"_target_": TARGET}, "here")
    with pytest.raises(ConfigError, match="No module named"):
        build({"_target_": "no_such_package.Thing"}, "here")
    with pytest.raises(ConfigError, match="did you mean 'Gadget'"):
        build({"_target_": f"{__name__}.Gadgett"}, "here")


def test_convert_names_unknown_keys() -> None:
    with pytest.raises(ConfigError, match="unknown key 'utdx'"):
        convert({"utdx": 1}, RunSettings, "there")


EXPERIMENTS = sorted((resources.files("robot_rl.configs") / "experiment").iterdir(), key=str)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.name)
def test_experiments_compose_and_yield_to_the_command_line(file: Traversable) -> None:
    cfg = load_config([f"experiment={file.name[:-5]}", "demos.episodes=3"])
    assert isinstance(settings_of(cfg), RunSettings)
    assert cfg.demos.episodes == 3
    numbers_of(cfg)


def test_a_users_folder_adds_a_choice(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("_target_: my_lab.tasks.Mine\nsize: 3\n")
    cfg = load_config(["task=mine"], folders=[tmp_path])
    assert cfg.task.size == 3
