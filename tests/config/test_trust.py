"""A stranger's run names something to import: refused before it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from robot_rl.cli import main
from robot_rl.commands.trust import check_targets, known_targets
from robot_rl.config import load_config
from robot_rl.errors import ConfigError

EVIL = """
from pathlib import Path
Path("ran").touch()
def make(**given): Path("ran").touch()
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder, and beside it the module it would like to be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_module.py").write_text(EVIL)
    run = tmp_path / "run"
    run.mkdir()
    return run


@pytest.mark.parametrize("verb", ["eval", "resume"])
@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("task._target_", "evil_module.make"),
        ("robot._target_", "os.system"),
        ("agent.policy._target_", "evil_module.make"),
        ("agent.learner.deep", [{"_target_": "evil_module.make"}]),
    ],
)
def test_refused_before_anything_is_imported(
    stranger: Path, verb: str, place: str, target: object, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = load_config(["task=reach"])
    OmegaConf.set_struct(cfg, False)
    OmegaConf.update(cfg, place, target)
    OmegaConf.save(cfg, stranger / "config.yaml")
    words = ["eval", str(stranger)] if verb == "eval" else ["train", f"resume={stranger}"]
    assert main(words) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert place.removesuffix("._target_") in line
    assert "none of your config files does" in line
    assert "--config-dir" in line
    assert "evil_module" not in sys.modules
    assert not Path("ran").exists()


def test_what_an_own_folder_names_is_known(stranger: Path, tmp_path: Path) -> None:
    cfg = load_config(["task=reach"])
    check_targets(cfg, stranger, [])
    OmegaConf.set_struct(cfg, False)
    cfg.task["_target_"] = "my_lab.task.Mine"
    with pytest.raises(ConfigError, match=r"task._target_ names 'my_lab.task.Mine'"):
        check_targets(cfg, stranger, [])
    folder = tmp_path / "my_configs" / "task"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("_target_: my_lab.task.Mine\n")
    check_targets(cfg, stranger, [tmp_path / "my_configs"])


def test_every_shipped_choice_is_known() -> None:
    known = known_targets([])
    assert {"robot_rl.envs.tasks.reach.Reach"} <= known or any("reach" in name for name in known)
    for agent in ("sac", "rlpd", "rlpd_image", "rlpd_gripper"):
        check_targets(load_config([f"agent={agent}"]), Path("run"), [])
    for task in (
        "reach",
        "pick_cube",
        "peg_insert",
        "drawer_open",
        "drawer_post",
        "nut_assembly",
        "push_t",
    ):
        check_targets(load_config([f"task={task}", "teleop=scripted"]), Path("run"), [])
    check_targets(load_config(["env=gym", "teleop=keyboard", "wire=tcp"]), Path("run"), [])
