"""What may differ in a run that goes on: machines freely, hyperparameters by name, data never."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest
from odd_envs import POINT, Point, to_goal

from robot_rl.commands.common import flags_of, what_is_learned
from robot_rl.commands.prepare import prepare, same_demos
from robot_rl.commands.resume import open_run, rewrite
from robot_rl.config import load_config
from robot_rl.envs.gym_env import GymEnv
from robot_rl.errors import CheckpointError, ConfigError
from robot_rl.runtime.changes import Change, read_changes, take_effect
from robot_rl.runtime.record import record_demos
from robot_rl.runtime.rundir import RunDir

WORDS = ["env=gym", f"env.id={POINT}", "agent=sac"]


@pytest.fixture
def run() -> RunDir:
    """A run's folder, as it is before its first process."""
    folder = RunDir(Path("r"))
    folder.create(load_config(WORDS), GymEnv(POINT).spec)
    return folder


def resumed(*words: str) -> tuple[dict[str, str], RunDir]:
    """What is learned once the run goes on with these words."""
    options = argparse.Namespace(
        overrides=["resume=r", *words], config_dir=[], insecure=False, trust=False
    )
    cfg, folder = open_run(options, lambda _: "")
    rewrite(folder, cfg)
    return what_is_learned(cfg), folder


@pytest.mark.parametrize(
    "word",
    ["agent.learner.device=cuda", "agent.learner.compile=false", "wire.sync_ms=5", "actors=2",
     "replay.memory_limit_gb=2", "learner.threads=2", "demos.folder=elsewhere", "steps=2e4"],
)  # fmt: skip
def test_a_machines_settings_change_freely(word: str, run: RunDir) -> None:
    before = what_is_learned(run.config())
    now, _ = resumed(word)
    assert take_effect(run.path, before, now, 50) == []
    assert read_changes(run.path) == []


def test_hyperparameters_change_by_name_and_are_kept_with_the_step(run: RunDir) -> None:
    checkpoint = what_is_learned(run.config())
    now, _ = resumed("agent.learner.lr=1e-4", "agent.replay.utd=2")
    assert {change.step for change in read_changes(run.path)} == {None}
    lines = take_effect(run.path, checkpoint, now, 50)
    assert "agent.learner.lr: 0.0003 -> 0.0001" in lines
    changes = read_changes(run.path)
    assert Change("agent.learner.lr", "0.0003", "0.0001", 50) in changes
    assert {change.key for change in changes} == {"agent.learner.lr", "agent.replay.utd"}
    later, _ = resumed("agent.learner.lr=1e-5")
    take_effect(run.path, now, later, 90)
    assert [c.step for c in read_changes(run.path) if c.key == "agent.learner.lr"] == [50, 90]


def test_a_learner_that_was_killed_before_it_saved_takes_the_change_again(run: RunDir) -> None:
    checkpoint = what_is_learned(run.config())
    now, _ = resumed("agent.learner.lr=1e-4")
    for _ in range(2):
        assert take_effect(run.path, checkpoint, now, 50) == ["agent.learner.lr: 0.0003 -> 0.0001"]


def test_what_nobody_asked_for_is_refused(run: RunDir) -> None:
    checkpoint = what_is_learned(run.config())
    now, _ = resumed("agent.learner.lr=1e-4")
    edited = now | {"agent.learner.tau": "0.5"}
    with pytest.raises(CheckpointError, match=r"tau: 0.005 -> 0.5\. Valid"):
        take_effect(run.path, checkpoint, edited, 50)
    with pytest.raises(CheckpointError, match=r"lr: 0.0003 -> 0.1\. Valid"):
        take_effect(run.path, checkpoint, now | {"agent.learner.lr": "0.1"}, 50)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("agent.learner.lrr=1e-4", "unknown key 'agent.learner.lrr'"),
        ("seed=3", "cannot change"),
        ("agent=rlpd", "cannot change"),
        ("env.max_steps=7", "cannot change"),
        ("agent.learner._target_=os.system", "cannot change"),
        ("agent.learner.lr=1,2", "several values"),
        ("steps=many", "steps: expected `int`"),
    ],
)
def test_what_cannot_change(word: str, said: str, run: RunDir) -> None:
    before = (run.path / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=said):
        resumed(word)
    assert (run.path / "config.yaml").read_text() == before


def test_demonstrations_may_move_but_not_be_others(run: RunDir) -> None:
    env = GymEnv(Point(), max_steps=20)
    for name, seed in (("a", 1), ("other", 2)):
        record_demos(env, to_goal, name, episodes=2, seed=seed)
    same_demos(run, Path("a"))
    shutil.move("a", "b")
    same_demos(run, Path("b"))
    with pytest.raises(ConfigError, match=r"demos\.path=other holds other demonstrations"):
        same_demos(run, Path("other"))


def test_a_refused_resume_leaves_the_config_as_it_was() -> None:
    env = GymEnv(POINT)
    for name, seed in (("a", 1), ("other", 2)):
        record_demos(env, to_goal, name, episodes=2, seed=seed)
    words = ["env=gym", f"env.id={POINT}", "demos.episodes=2", "evaluation.episodes=0"]
    folder = RunDir(Path("r"))
    prepare(load_config([*words, "demos.path=a"]), folder)
    before = (folder.path / "config.yaml").read_text()
    with pytest.raises(ConfigError, match="other demonstrations"):
        prepare(load_config([*words, "demos.path=other"]), folder)
    assert (folder.path / "config.yaml").read_text() == before


def test_a_wrapper_named_at_the_command_line_needs_trust_later() -> None:
    words = [*WORDS, "env.wrappers=[odd_envs.Halved]"]
    folder = RunDir(Path("r"))
    folder.create(load_config(words), GymEnv(POINT).spec)
    with pytest.raises(ConfigError, match=r"env\.wrappers\[0\] names 'odd_envs\.Halved'.*--trust"):
        resumed()
    told = argparse.Namespace(overrides=words, config_dir=["my configs"], trust=False)
    assert flags_of(told) == " --config-dir 'my configs' --trust"
    told.overrides = WORDS
    assert flags_of(told) == " --config-dir 'my configs'"
