"""What a user adds costs one file and one YAML: plans of 8, an operator with REWIND, two arms,
joint commands, a judge that decides late. Nothing else is edited."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from robot_rl.config import load_config
from robot_rl.errors import ConfigError
from robot_rl.factory import make_env, make_judge, make_operator, make_policy
from robot_rl.rollout.judge import AskingJudge
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.testing.check_env import check_env
from robot_rl.testing.check_operator import check_operator
from robot_rl.types import Source

MODULE = '''
import time
from dataclasses import replace
import numpy as np
from robot_rl.testing.fake_policies import PlannerOf
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Event, OperatorSample


def arms(n_arms: int = 1, joint: bool = False):
    return fake_bundle(["eye"], n_arms=n_arms, joint=joint)


class Task(FakeTask):
    def __init__(self, n_arms: int = 1):
        super().__init__(max_steps=24, tolerance=1e-9, n_arms=n_arms)


class ThereAndBack:
    """Four steps forward by hand, then back again, over and over."""

    def __init__(self, action_dim: int):
        self.dim, self.readings = action_dim, 0

    def read(self, context):
        if context.step is None:
            return None
        self.readings += 1
        if (self.readings - 1) % 8 >= 4:
            return OperatorSample(None, time.monotonic_ns(), Event.REWIND)
        motion = np.full(self.dim, np.nan, np.float32)
        motion[0] = 0.5
        return OperatorSample(motion, time.monotonic_ns())

    def stopped(self):
        return False

    def close(self):
        pass


class Late:
    """Three looks after an episode's end it was a success."""

    def __init__(self, looks: int):
        self.looks = looks

    def reset(self):
        self.seen = 0

    def judge(self, step, events):
        return step

    def conclude(self, step, events):
        self.seen += 1
        if self.seen <= self.looks:
            return None
        return replace(step, success=1, reward=1.0, terminated=True, truncated=False)
'''
FILES = {
    "robot/two_arms.yaml": "_target_: my_fakes.arms\nn_arms: 2\n",
    "robot/joints.yaml": "_target_: my_fakes.arms\njoint: true\n",
    "task/both.yaml": "_target_: my_fakes.Task\nn_arms: 2\n",
    "task/one.yaml": "_target_: my_fakes.Task\n",
    "judge/late.yaml": "_target_: my_fakes.Late\nlooks: 3\n",
    "teleop/back.yaml": "_target_: my_fakes.ThereAndBack\n",
    "teleop/crowd.yaml": "_target_: robot_rl.rollout.operators.Several\n"
    "operators:\n  - _target_: my_fakes.ThereAndBack\n"
    "  - _target_: robot_rl.rollout.operators.Nobody\n",
    "agent/planner.yaml": "replay: {utd: 1, batch_size: 8, demo_ratio: 0.0, discount: 0.9,"
    " n_step: 1, warmup_steps: 0}\n"
    "learner: {_target_: my_fakes.arms}\n"
    "policy: {_target_: my_fakes.PlannerOf, horizon: 8}\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_fakes.py").write_text(MODULE)
    for name, text in FILES.items():
        path = tmp_path / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_fakes", None)
    return tmp_path / "configs"


def configured(folder: Path, *words: str) -> Any:
    return load_config(["agent=planner", *words], folders=[folder])


CASES = [
    ("robot=two_arms", "task=both"),
    ("robot=joints", "task=one", "env/action=joint"),
    ("robot=joints", "task=one", "env/action=joint", "env.action.step=0.02"),
]


@pytest.mark.parametrize("words", CASES)
def test_they_conform(folder: Path, words: tuple[str, ...]) -> None:
    check_env(make_env(configured(folder, *words)))
    cfg = configured(folder, *words, "teleop=back")
    env = make_env(cfg)
    env.reset(0)
    check_operator(make_operator(cfg, env), env)


@pytest.mark.parametrize("words", CASES)
@pytest.mark.parametrize("teleop", ["back", "crowd"])
def test_they_roll_together(folder: Path, words: tuple[str, ...], teleop: str) -> None:
    cfg = configured(folder, *words, f"teleop={teleop}")
    env = make_env(cfg)
    rollout = Rollout(
        env,
        Inline(make_policy(cfg, env.spec, seed=0)),
        make_operator(cfg, env),
        sink=(kept := Kept()),
    )
    episode = rollout.episode(0)
    assert episode.steps == len(kept.steps) == 24
    sources = [step.source for step in kept.steps]
    assert sources == ([Source.HUMAN] * 4 + [Source.REWIND] * 4) * 3
    assert max(step.plan for step in kept.steps) >= 3
    goals = [float(step.commanded[0]) for step in kept.steps]
    assert goals[4:7] == pytest.approx(goals[2::-1], abs=1e-4), "back along the way it came"


def test_a_judge_that_decides_late_is_one_file_too(folder: Path) -> None:
    cfg = configured(folder, *CASES[0], "judge=late")
    env = make_env(cfg)
    policy = Inline(make_policy(cfg, env.spec, seed=0))
    rollout = Rollout(env, policy, judge=make_judge(cfg), sink=(kept := Kept()))
    assert rollout.episode(0).success == 1
    assert [step.success for step in kept.steps] == [0] * 23 + [1]
    assert kept.steps[-1].terminated
    assert isinstance(make_judge(configured(folder, *CASES[0], "judge=asking")), AskingJudge)
    with pytest.raises(
        ConfigError, match=r"'look' is no parameter of my_fakes\.Late: did you mean"
    ):
        make_judge(configured(folder, *CASES[0], "judge=late", "+judge.look=2"))


class Kept:
    """A sink that keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def start(self, *arguments: Any, **more: Any) -> None:
        pass

    def step(self, transition: Any) -> None:
        self.steps.append(transition)

    def close(self) -> None:
        pass
