"""The one act → step loop on the fakes: who acts, what is kept, how an episode ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from robot_rl.envs.action_joint import JointConfig
from robot_rl.envs.gym_env import GymEnv
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import RobotFault
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.judge import AskingJudge, LearnedJudge
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.rollout.plans import PlanFollower
from robot_rl.testing.check_env import check_env
from robot_rl.testing.fake_operators import FakeOperator, sample_of
from robot_rl.testing.fake_policies import PlannerOf
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import (
    Array,
    CartesianCommand,
    Event,
    OperatorSample,
    Purpose,
    Source,
    Step,
    Transition,
)

CLOSE = np.array([0, 0, 0, 0, 0, 0, -1.0], np.float32)


@dataclass
class Kept:
    """A sink that keeps everything."""

    starts: list[tuple[int, Purpose]] = field(default_factory=list)
    steps: list[Transition] = field(default_factory=list)

    def start(self, obs: Any, episode: int, stamp_ns: int, boot_id: int, **more: Any) -> None:
        self.starts.append((episode, more["purpose"]))

    def step(self, transition: Transition) -> None:
        self.steps.append(transition)

    def close(self) -> None:
        pass

    @property
    def sources(self) -> list[Source]:
        return [step.source for step in self.steps]


def make_env(max_steps: int = 20, n_arms: int = 1, **robot: Any) -> RobotEnv:
    task = FakeTask(max_steps=max_steps, tolerance=1e-9, n_arms=n_arms)
    return RobotEnv(fake_bundle(["eye"], n_arms=n_arms, **robot), task, ("eye",))


class Still:
    """A policy that closes the gripper at once and then says what it is told."""

    version = 1

    def __init__(self, action: Array = CLOSE) -> None:
        self.action = action

    def load(self, weights: Any, version: int) -> None:
        pass

    def reset(self, seed: int | None = None) -> None:
        pass

    def act(self, obs: Any, step: int, stamp_ns: int, *, deterministic: bool = False) -> Any:
        from robot_rl.types import Plan

        return Plan(self.action[None], np.ones(1, bool), step, stamp_ns, 1)


def roll(
    readings: Sequence[OperatorSample | None] = (),
    *,
    env: RobotEnv | None = None,
    policy: Any = None,
    **how: Any,
) -> tuple[Kept, Episode, Rollout]:
    env = env or make_env()
    sink = Kept()
    rollout = Rollout(
        env, Inline(policy or Still()), FakeOperator(readings), sink=sink, actor="a", **how
    )
    return sink, rollout.episode(3), rollout


def test_a_policy_with_plans_of_eight_is_followed_and_recorded() -> None:
    env = make_env(max_steps=20)
    policy = PlannerOf(env.spec, horizon=8)
    policy.version = 5
    sink, episode, _ = roll(env=env, policy=policy)
    proposed = [round(1000 * float(step.proposed[0])) for step in sink.steps]
    assert proposed == list(range(20))
    assert [step.plan for step in sink.steps] == [1] * 8 + [2] * 8 + [3] * 4
    assert [step.plan_step for step in sink.steps] == [0] * 8 + [8] * 8 + [16] * 4
    assert {step.policy_version for step in sink.steps} == {5}
    assert sink.steps[9].value == pytest.approx(float(sink.steps[8].obs["state"][0]))
    assert policy.plans == 3
    assert episode.done
    assert sink.steps[-1].truncated


def test_a_receding_horizon_replans() -> None:
    env = make_env(max_steps=6)
    policy = PlannerOf(env.spec, horizon=8)
    sink, _, _ = roll(env=env, policy=policy, follower=PlanFollower(replan_every=2))
    assert [step.plan_step for step in sink.steps] == [0, 0, 2, 2, 4, 4]


def test_plans_are_dropped_at_takeover_and_at_hand_back() -> None:
    env = make_env(max_steps=12)
    policy = PlannerOf(env.spec, horizon=8)
    sink, _, _ = roll([None, None, sample_of(0.5), sample_of(0.5), None], env=env, policy=policy)
    h, r = Source.HUMAN, Source.RANDOM
    assert sink.sources == [r, r, h, h] + [r] * 8
    # Step 2 is the person's; from step 3 on a new plan, and another one from step 5 on.
    assert [step.plan_step for step in sink.steps[:7]] == [0, 0, 0, 3, 3, 5, 5]


def test_camera_stamps_reach_the_transition() -> None:
    sink, _, _ = roll()
    assert all(step.stamps == {"eye": step.stamp_ns} for step in sink.steps)


def test_a_takeover_keeps_the_gripper_as_it_is() -> None:
    """It once sent a width of its own: an object in the hand was dropped."""
    move = sample_of([0.5, 0, 0, 0, 0, 0, np.nan])
    sink, episode, _ = roll([None, None, move, move, move])
    assert sink.sources[2:5] == [Source.HUMAN] * 3
    widths = [float(step.commanded[7]) for step in sink.steps]
    assert widths[1:5] == [0.0] * 4, "closed by the policy, and still closed"
    assert sink.steps[3].action[0] == pytest.approx(0.5, abs=1e-5)
    assert (episode.human_steps, episode.takeovers) == (3, 1)


def test_a_verdict_alone_moves_nothing_and_is_no_takeover() -> None:
    sink, episode, _ = roll([None, sample_of(None, Event.SUCCESS)])
    assert sink.sources == [Source.POLICY] * 2
    assert (episode.human_steps, episode.takeovers) == (0, 0)
    last = sink.steps[-1]
    assert (last.success, last.reward, last.terminated, last.truncated) == (1, 1.0, True, False)
    assert np.isnan(last.human).all()


def test_a_failure_ends_the_episode_without_reward() -> None:
    sink, episode, _ = roll([None, sample_of(None, Event.FAILURE)])
    last = sink.steps[-1]
    assert (last.success, last.reward, last.terminated) == (0, 0.0, True)
    assert episode.done


def test_a_discarded_episode_ends_and_says_so() -> None:
    sink, episode, _ = roll([None, sample_of(None, Event.DISCARD)])
    assert episode.discarded
    assert episode.done
    assert sink.steps[-1].truncated


def test_a_device_lost_in_use_holds_and_never_hands_back_by_itself() -> None:
    """On a stepped clock: the reading is as old as the period says."""
    clock = [1_000_000_000]
    move = sample_of(0.5)
    lost = replace(move, stamp_ns=clock[0])
    env = make_env()
    sink = Kept()
    rollout = Rollout(
        env,
        Inline(Still()),
        FakeOperator([move, lost, lost, lost, None], now_ns=lambda: clock[0]),
        sink=sink,
        now_ns=lambda: clock[0],
        max_age_ns=100_000_000,
    )

    def tick(_: Episode) -> bool:
        clock[0] += 60_000_000
        return len(sink.steps) < 6

    clock[0] -= 60_000_000
    rollout.episode(3, proceed=tick)
    h, s, p = Source.HUMAN, Source.SCRIPT, Source.POLICY
    assert sink.sources == [h, h, s, s, p, p]  # 0, 60, 120, 180 ms old
    assert np.abs(sink.steps[3].action[:6]).max() < 1e-6, "it holds"
    assert float(sink.steps[3].commanded[7]) == float(sink.steps[2].commanded[7])


def test_a_stop_among_the_events_trips_the_robot_at_once() -> None:
    env = make_env()
    sink, episode, _ = roll([None, sample_of(0.5, Event.STOP)], env=env)
    assert "emergency stop" in episode.fault
    assert len(sink.steps) == 2
    assert sink.steps[-1].truncated
    with pytest.raises(RobotFault, match="emergency stop"):
        env.reset(4)
    env.rearm()
    assert env.reset(4).fault == ""


def test_a_stop_works_in_an_environment_without_a_robot() -> None:
    env = GymEnv("Pendulum-v1")
    sink = Kept()
    operator = FakeOperator([None, sample_of(None, Event.STOP)])
    policy = Still(np.zeros(1, np.float32))
    episode = Rollout(env, Inline(policy), operator, sink=sink).episode(0)
    assert "emergency stop" in episode.fault
    assert len(sink.steps) == 2


def test_an_operator_may_lead_by_a_goal() -> None:
    env = make_env()
    goal = np.array([[0.52, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0]])
    lead = OperatorSample(CartesianCommand(goal, np.array([0.0]), 0), 0)
    sink, _, _ = roll([lead], env=env)
    assert sink.sources[0] is Source.HUMAN
    np.testing.assert_allclose(sink.steps[0].commanded[:3], goal[0, :3], atol=1e-6)


def test_rewinding_goes_back_along_the_way_it_came_with_the_gripper_as_it_is() -> None:
    moves = [sample_of([0.5, 0.3, 0, 0, 0, 0, np.nan])] * 4
    back = [sample_of(None, Event.REWIND)] * 6
    env = make_env(max_steps=40)
    sink, _, _ = roll([None, *moves, *back], env=env)
    goals = np.array([step.commanded for step in sink.steps])
    assert sink.sources[5:11] == [Source.REWIND] * 6
    forth = [goals[i, :3] for i in range(5)]
    for step in range(4):
        np.testing.assert_allclose(goals[5 + step, :3], forth[3 - step], atol=1e-5)
    assert (goals[1:11, 7] == 0.0).all(), "what is in the hand stays there"
    np.testing.assert_allclose(goals[10, :3], forth[0], atol=1e-5)


@dataclass
class LateJudge:
    """Decides only some looks after the end of an episode."""

    looks: int
    seen: int = 0

    def reset(self) -> None:
        self.seen = 0

    def judge(self, step: Step, events: Event) -> Step:
        return step

    def conclude(self, step: Step, events: Event) -> Step | None:
        self.seen += 1
        if self.seen < self.looks:
            return None
        return replace(step, success=1, reward=1.0, terminated=True, truncated=False)


def test_a_judge_may_decide_late_while_the_robot_rests() -> None:
    env = make_env(max_steps=3)
    sink, episode, _ = roll(env=env, judge=LateJudge(3))
    assert len(sink.steps) == 3
    assert (episode.success, episode.episode_return) == (1, 1.0)
    assert sink.steps[-1].terminated


def test_a_judge_that_never_decides_is_not_waited_for_for_ever() -> None:
    ticks = iter(range(0, 10**12, 10**9))
    sink, episode, _ = roll(
        env=make_env(max_steps=3),
        judge=LateJudge(10**6),
        now_ns=lambda: next(ticks),
        verdict_s=3.0,
    )
    assert sink.steps[-1].truncated
    assert episode.success == 0


def test_a_person_is_asked_at_the_end_of_an_episode() -> None:
    readings = [None] * 5 + [sample_of(None, Event.SUCCESS)]
    sink, episode, _ = roll(readings, env=make_env(max_steps=3), judge=AskingJudge())
    assert len(sink.steps) == 3
    assert episode.success == 1


def test_a_learned_judge_needs_some_frames_in_a_row() -> None:
    seen = iter([0.9, 0.1, 0.9, 0.9, 0.9])
    sink, episode, _ = roll(judge=LearnedJudge(lambda obs: next(seen), frames=2))
    assert [step.success for step in sink.steps] == [0, 0, 0, 1]
    assert episode.episode_return == 1.0
    assert sink.steps[-1].terminated


def test_two_arms_are_one_robot() -> None:
    sink, _, _ = roll(
        [None, sample_of(0.5, dim=14)], env=make_env(n_arms=2), policy=Still(np.zeros(14, "f4"))
    )
    assert sink.steps[1].action.shape == (14,)
    assert sink.steps[1].commanded.shape == (16,)
    np.testing.assert_allclose(sink.steps[1].action[[0, 7]], 0.5, atol=1e-5)


def joint_env(kind: str = "relative") -> RobotEnv:
    bundle = fake_bundle(joint=True)
    limits = {"low": (-1.0,) * 7, "high": (1.0,) * 7} if kind == "absolute" else {}
    return RobotEnv(bundle, FakeTask(tolerance=1e-9), action=JointConfig(kind=kind, **limits))


@pytest.mark.parametrize("kind", ["relative", "absolute"])
def test_a_robot_with_joint_commands_conforms(kind: str) -> None:
    check_env(joint_env(kind))


def test_a_robot_with_joint_commands_rolls_and_rewinds() -> None:
    env = joint_env()
    move, back = sample_of(0.5, dim=8), sample_of(None, Event.REWIND, dim=8)
    sink, _, _ = roll([move, move, back, back], env=env, policy=Still(np.zeros(8, np.float32)))
    q = [step.commanded[:3] for step in sink.steps]
    assert sink.sources[2:4] == [Source.REWIND] * 2
    np.testing.assert_allclose(q[0] - q[3], 0.5 * 0.05, atol=1e-6)


def test_evaluation_episodes_are_marked() -> None:
    env, sink = make_env(max_steps=3), Kept()
    rollout = Rollout(env, Inline(Still()), sink=sink)
    rollout.episode(0, purpose=Purpose.EVALUATION)
    rollout.episode(1)
    assert [purpose for _, purpose in sink.starts] == [Purpose.EVALUATION, Purpose.TRAINING]
    assert [step.purpose for step in sink.steps] == [Purpose.EVALUATION] * 3 + [
        Purpose.TRAINING
    ] * 3


def test_a_pause_is_remembered_until_it_is_pressed_again() -> None:
    press = sample_of(None, Event.PAUSE)
    _, _, rollout = roll([None, press])
    assert rollout.paused
    _, _, rollout = roll([press, press])
    assert not rollout.paused


def test_the_operator_is_told_what_the_policy_would_do() -> None:
    operator = FakeOperator([])
    env = make_env(max_steps=2)
    Rollout(env, Inline(Still()), operator).episode(0)
    first = operator.contexts[0]
    assert first.step is not None
    np.testing.assert_array_equal(first.proposal, CLOSE)
    np.testing.assert_allclose(first.hold, [0, 0, 0, 0, 0, 0, 1.0])
