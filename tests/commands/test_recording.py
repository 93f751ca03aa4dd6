"""Demonstrations from anywhere, gone on with, and never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_envs import POINT, Point, to_goal, to_goal_of
from refusals import Refused

from robot_rl.cli import main
from robot_rl.commands.prepare import demo_warnings
from robot_rl.data.content import content_digest
from robot_rl.data.dataset_info import dataset_info
from robot_rl.data.episodes import read_episodes
from robot_rl.envs.gym_env import GymEnv
from robot_rl.errors import ConfigError, SpecError, UserCodeError
from robot_rl.runtime.record import record_demos

IN = ["env=gym", f"env.id={POINT}"]


def record(*words: str) -> int:
    return main(["record", *IN, *words])


@pytest.mark.parametrize("who", ["to_goal", "to_goal_of"])
def test_a_function_of_ones_own_demonstrates(who: str) -> None:
    assert record("--by", f"odd_envs.{who}", "--out", "d", "--episodes", "4") == 0
    told = dataset_info("d")
    assert (told["episodes"], told["successes"]) == (4, 4)
    assert told["meta"]["recorded_by"] == f"odd_envs.{who}"


def test_from_python_with_an_environment_that_was_made(tmp_path: Path) -> None:
    env = GymEnv(Point(), max_steps=20)
    recording = record_demos(env, to_goal, tmp_path / "d", episodes=3)
    assert recording.kept == 3
    for episode in read_episodes(tmp_path / "d"):
        assert np.abs(episode.records["action"][1:]).max() <= 1.0
        assert np.abs(episode.records["commanded"][1:]).max() <= 0.5, "in its own units"


@pytest.mark.parametrize(
    ("policy", "kind", "said"),
    [
        (lambda obs: obs["nothing"], UserCodeError, "raised KeyError"),
        (lambda obs: [0.0], SpecError, r"an action of shape \(1,\)"),
        (lambda obs, step: [0.0, 0.0], ConfigError, "needs obs, step; valid: obs, env, or nothing"),
        (3, ConfigError, "cannot be called"),
    ],
)
def test_policies_that_cannot_act(policy: Any, kind: type, said: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=said):
        record_demos(GymEnv(Point(), max_steps=20), policy, tmp_path / "d", episodes=1)


def test_who_does_not_exist(refused: Refused) -> None:
    words = ("record", *IN, "--out", "d", "--by")
    assert "did you mean 'to_goal'" in refused(*words, "odd_envs.to_gaol")
    assert "valid: package.module.Name" in refused(*words, "nobody")
    assert "--by my_package.my_policy" in refused(*words, "expert")
    assert "raised KeyError: 'no such key'; its traceback" in refused(*words, "odd_envs.broken")
    assert not Path("d").exists(), "nothing was finished, nothing is kept"


def test_a_second_recording_says_what_there_is_and_goes_on(refused: Refused) -> None:
    assert "--append: 'd' has no dataset yet" in refused(
        "record", *IN, "--out", "d", "--by", "odd_envs.to_goal", "--append"
    )
    assert record("--by", "odd_envs.to_goal", "--out", "d", "--episodes", "2") == 0
    first = content_digest(Path("d"))
    line = refused("record", *IN, "--out", "d", "--by", "odd_envs.to_goal")
    assert f"'d' has 2 episodes of {POINT}; valid: --append" in line
    assert "valid: --episodes above 2" in refused(
        "record", *IN, "--out", "d", "--by", "odd_envs.to_goal", "--append", "--episodes", "2"
    )
    assert content_digest(Path("d")) == first
    for total in (3, 5):
        words = ("--by", "odd_envs.to_goal", "--out", "d", "--append", "--episodes", str(total))
        assert record(*words) == 0
        assert len(list(read_episodes("d"))) == total
    starts = {episode.records["obs.state"][0].tobytes() for episode in read_episodes("d")}
    assert len(starts) == 5, "no start state comes twice"


def test_an_interrupted_recording_keeps_what_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps, step = [0], Point.step

    def interrupted(self: Point, action: Any) -> Any:
        steps[0] += 1
        if steps[0] == 9:
            raise KeyboardInterrupt
        return step(self, action)

    monkeypatch.setattr(Point, "step", interrupted)
    words = ("--by", "odd_envs.to_goal_of", "--out", "d", "--episodes", "9")
    assert record(*words) == 130
    left = len(list(read_episodes("d")))
    assert left > 0
    assert f"d keeps {left} of 9 episodes; the same command with --append" in (
        capsys.readouterr().err
    )
    monkeypatch.setattr(Point, "step", step)
    assert record(*words, "--append") == 0
    assert len(list(read_episodes("d"))) == 9


def test_what_lies_in_a_folder_is_never_removed(refused: Refused) -> None:
    Path("d").mkdir()
    Path("d/thesis.tex").write_text("my own")
    assert "not empty" in refused("record", *IN, "--by", "odd_envs.to_goal", "--out", "d")
    assert Path("d/thesis.tex").read_text() == "my own"


def test_demonstrations_of_little_use_are_said(tmp_path: Path) -> None:
    env = GymEnv(Point(), max_steps=5)
    record_demos(env, to_goal_of, tmp_path / "good", episodes=2)
    away = tmp_path / "bad"
    record_demos(env, lambda obs: -obs["goal"], away, episodes=2, keep_failures=True)
    assert demo_warnings(tmp_path / "good", 2) == []
    assert "has 2 demonstrations, demos.episodes=20" in demo_warnings(tmp_path / "good", 20)[0]
    assert "every demonstration of" in demo_warnings(away, 2)[0]
    assert "demos.episodes=0" in demo_warnings(away, 0)[0]
    assert len(demo_warnings(away, 20)) == 2


def test_datasets_are_merged_and_one_episode_recorded_again(refused: Refused) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        record_demos(GymEnv(Point(), max_steps=20), to_goal, name, episodes=2, seed=seed)
    starts = [e.records["obs.state"][0].tolist() for p in "ab" for e in read_episodes(p)]
    assert main(["dataset", "merge", "a", "b", "--out", "c"]) == 0
    assert [e.records["obs.state"][0].tolist() for e in read_episodes("c")] == starts
    assert main(["dataset", "--json", "verify", "c"]) == 0
    assert "not empty" in refused("dataset", "merge", "a", "b", "--out", "c")
    assert "valid: 0 … 3" in refused("dataset", "discard", "c", "--episode", "4")
    assert main(["dataset", "discard", "c", "--episode", "1"]) == 0
    left = [e.records["obs.state"][0].tolist() for e in read_episodes("c")]
    assert left == [starts[0], starts[2], starts[3]]


def test_what_merge_and_discard_need(refused: Refused) -> None:
    assert "--out <folder>" in refused("dataset", "merge", "a", "b")
    assert "--episode <number>" in refused("dataset", "discard", "a")
    assert "takes one dataset" in refused("dataset", "info", "a", "b")
    record_demos(GymEnv(Point(), max_steps=20), to_goal, "a", episodes=1)
    assert main(["record", "--out", "r", "--episodes", "1", "task=reach"]) == 0
    assert main(["dataset", "merge", "a", "r", "--out", "c"]) == 2
    assert not Path("c").exists()
