"""A simulated person: steps in when it should, late, with mistakes, and hands back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rl.drivers.operators.help_rules import ProgressRule, ValueRule, progress
from robot_rl.drivers.operators.simulated import SimulatedOperator
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import ConfigError
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.record import ScriptedPolicy
from robot_rl.testing.check_operator import check_operator
from robot_rl.testing.fake_operators import FakeOperator
from robot_rl.testing.fake_policies import PlannerOf
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Array, Context, Step

PERIOD_NS = 100_000_000
AHEAD = np.array([1, 0, 0, 0, 0, 0, 0], np.float32)
SURE: dict[str, Any] = {"skill": 1.0, "noise": 0.0, "delay_ms": 0.0}
ENV = RobotEnv(fake_bundle(), FakeTask())
START = ENV.reset(0)


class Watched:
    """An operator that watches a robot of which only actions, proposals and time are known."""

    def __init__(self, wanted: Array = AHEAD, **how: Any) -> None:
        self.wanted, self.now, self.boot = wanted, 0, 1
        self.operator = SimulatedOperator(lambda: self.wanted, **{**SURE, **how})

    def step(
        self, did: Array, proposal: Array | None = None, value: float = float("nan")
    ) -> Array | None:
        """One period in which the robot did `did`; the motion asked for, None with hands off."""
        self.now += PERIOD_NS
        step: Step = replace(START, executed=did, stamp_ns=self.now, boot_id=self.boot)
        shown = did if proposal is None else proposal
        sample = self.operator.read(Context(step, shown, did, value))
        if sample is None:
            return None
        assert isinstance(sample.motion, np.ndarray)
        return sample.motion

    def until_hands_on(self, did: Array, most: int = 100) -> int:
        """Periods until it acts."""
        for count in range(1, most + 1):
            if self.step(did) is not None:
                return count
        raise AssertionError(f"hands off for {most} periods")


def test_progress_is_the_share_of_the_experts_way() -> None:
    assert progress(AHEAD, AHEAD) == 1.0
    assert progress(0.5 * AHEAD, AHEAD) == 0.5
    assert progress(-AHEAD, AHEAD) == -1.0
    assert progress(np.eye(7)[1], AHEAD) == 0.0
    assert np.isnan(progress(AHEAD, 0.01 * AHEAD)), "the expert would hardly move either"


@pytest.mark.parametrize("did", [np.zeros(7, np.float32), -AHEAD, np.eye(7, dtype=np.float32)[1]])
def test_it_steps_in_when_the_robot_is_stuck_or_drifts(did: Array) -> None:
    watched = Watched(window=8)
    assert watched.until_hands_on(did) == 9, "the first reading has nothing to judge yet"
    np.testing.assert_array_equal(watched.step(did), AHEAD)


def test_it_leaves_alone_who_gets_on_or_has_nowhere_to_go() -> None:
    watched = Watched(share=0.3)
    assert all(watched.step(0.4 * AHEAD) is None for _ in range(50))
    rests = Watched(np.zeros(7, np.float32))
    assert all(rests.step(AHEAD) is None for _ in range(50))


def test_grippers_are_judged_apart() -> None:
    """An arm that waits in place for a gripper that is never closed is stuck too."""
    closes = np.array([0, 0, 0, 0, 0, 0, -1], np.float32)
    still = np.zeros(7, np.float32)
    blind, sees = Watched(closes), Watched(closes, grippers=(6,))
    assert all(blind.step(still) is None for _ in range(50))
    assert sees.until_hands_on(still) == 9


@pytest.mark.parametrize("delay_ms", [100, 300])
def test_its_reaction_takes_time_in_the_robots_clock(delay_ms: int) -> None:
    watched = Watched(window=8, delay_ms=delay_ms)
    assert watched.until_hands_on(-AHEAD) == 9 + delay_ms // 100


def test_it_hands_back_once_the_policy_agrees_and_not_sooner() -> None:
    watched = Watched(window=4, at_least=5, at_most=30, agree=3)
    watched.until_hands_on(-AHEAD)
    assert all(watched.step(AHEAD, -AHEAD) is not None for _ in range(10)), "still astray"
    assert [watched.step(AHEAD, AHEAD) is None for _ in range(3)] == [False, False, True]
    quick = Watched(window=4, at_least=5, agree=3)
    quick.until_hands_on(-AHEAD)
    assert [quick.step(AHEAD, AHEAD) is None for _ in range(5)] == [False] * 4 + [True]


def test_its_patience_with_a_policy_that_never_agrees_ends() -> None:
    watched = Watched(window=4, at_most=12)
    watched.until_hands_on(-AHEAD)
    acted = 1
    while watched.step(AHEAD, -AHEAD) is not None:
        acted += 1
    assert acted == 12


def test_a_new_episode_begins_with_hands_off() -> None:
    watched = Watched(window=4)
    watched.until_hands_on(-AHEAD)
    watched.boot, watched.now = 2, 0
    assert watched.until_hands_on(-AHEAD) == 5
    watched.now += 10 * PERIOD_NS + 1  # the same clock, after a driven reset
    assert watched.until_hands_on(-AHEAD) == 5


def test_the_rule_of_values_is_used_where_plans_carry_one() -> None:
    rule = ValueRule(0.5, expert_steps=20, discount=0.9)
    assert not rule.behind(0.9**20, 0)
    assert rule.behind(0.49 * 0.9**20, 0)
    assert rule.behind(0.9**20, 15), "by now the expert would be nearly there"
    assert not rule.behind(0.51, 100)
    watched = Watched(value_share=0.5, expert_steps=20, discount=0.9)
    assert watched.step(-AHEAD, value=1.0) is None
    assert all(watched.step(-AHEAD, value=1.0) is None for _ in range(30)), "value, not progress"
    assert watched.step(AHEAD, value=0.1) is not None


def test_the_policys_value_reaches_the_operator() -> None:
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=5, tolerance=1e-9))
    policy, operator = PlannerOf(env.spec, horizon=2), FakeOperator([])
    Rollout(env, Inline(policy), operator).episode(0)
    values = [context.value for context in operator.contexts]
    assert len(values) == 5
    assert np.isfinite(values).all()
    assert np.isnan(Context(None, None, np.zeros(7)).value), "where nothing proposes"


@pytest.mark.parametrize("skill", [0.9, 0.5])
def test_skill_is_the_share_of_stretches_that_are_the_experts(skill: float) -> None:
    watched = Watched(skill=skill, window=1, at_most=10_000, stretch=5, seed=3)
    watched.until_hands_on(-AHEAD)
    right = []
    for _ in range(5000):
        motion = watched.step(AHEAD, -AHEAD)
        assert motion is not None
        right.append(bool(np.allclose(motion, AHEAD)))
    assert np.mean(right) == pytest.approx(skill, abs=0.05)
    changes = np.flatnonzero(np.diff(right))
    assert (np.diff(changes) % 5 == 0).all(), "a mistake lasts a whole stretch"


def test_mistakes_and_noise_are_a_persons_not_the_grippers() -> None:
    watched = Watched(0.5 * AHEAD, skill=0.0, window=1, at_most=1000)
    watched.until_hands_on(-AHEAD)
    wrong = [watched.step(AHEAD, -AHEAD) for _ in range(200)]
    assert all(motion is not None and motion[6] == 0.0 for motion in wrong)
    assert max(np.abs(motion).max() for motion in wrong if motion is not None) <= 0.5
    noisy = Watched(0.5 * AHEAD, noise=0.1, window=1, at_most=10_000)
    noisy.until_hands_on(-AHEAD)
    drawn = np.array([noisy.step(AHEAD, -AHEAD) for _ in range(3000)])
    np.testing.assert_allclose(drawn.mean(0), 0.5 * AHEAD, atol=0.01)
    np.testing.assert_allclose(drawn.std(0), 0.1, atol=0.01)


def test_the_seed_decides() -> None:
    def run(seed: int) -> list[bytes]:
        watched = Watched(skill=0.5, noise=0.2, window=2, seed=seed)
        motions = [watched.step(-AHEAD) for _ in range(60)]
        return [b"" if motion is None else motion.tobytes() for motion in motions]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_it_rescues_a_policy_that_goes_the_wrong_way() -> None:
    """In the loop, on the fakes: without it no episode succeeds."""

    def successes(**how: Any) -> int:
        env = RobotEnv(fake_bundle(), FakeTask(max_steps=100))
        lost = ScriptedPolicy(lambda: -0.5 * env.expert_action())
        rollout = Rollout(env, Inline(lost))
        if how:
            rollout.operator = SimulatedOperator(env.expert_action, **how)
        return sum(rollout.episode(seed).success == 1 for seed in range(3))

    assert successes() == 0
    assert successes(skill=0.9, noise=0.05) >= 2


def test_it_conforms_and_refuses_numbers_that_make_no_sense() -> None:
    env = RobotEnv(fake_bundle(), FakeTask())
    env.reset(0)
    check_operator(SimulatedOperator(env.expert_action), env)
    for wrong in ({"skill": 1.1}, {"window": 0}, {"at_most": 2}, {"share": -0.1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            SimulatedOperator(env.expert_action, **wrong)  # type: ignore[arg-type]


def test_a_window_without_evidence_says_nothing() -> None:
    rule = ProgressRule(0.3, 2, [[0]])
    assert not rule.behind
    assert not rule.ahead
    rule.saw(np.zeros(1), np.zeros(1))
    assert not rule.behind
