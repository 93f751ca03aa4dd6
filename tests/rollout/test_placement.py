"""A policy in a real process of its own: it answers with plans, late, and may die."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import PoisonedDataError, WireError
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import PolicyProcess
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Source, Transition

CHILD = str(Path(__file__).with_name("policy_child.py"))


def make_env() -> RobotEnv:
    return RobotEnv(fake_bundle(["eye"]), FakeTask(max_steps=30, tolerance=1e-9), ("eye",))


@contextmanager
def process(env: RobotEnv, delay_s: float = 0.0) -> Iterator[PolicyProcess]:
    spec = env.spec.to_json().decode()
    made = PolicyProcess(
        lambda socket: [sys.executable, CHILD, str(socket), spec, str(delay_s)], env.spec
    )
    try:
        yield made
    finally:
        made.close()
        made.close()


def eventually(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.001)
    raise AssertionError("nothing came")


class Kept:
    """A sink that keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[Transition] = []

    def start(self, *arguments: Any, **more: Any) -> None:
        pass

    def step(self, transition: Transition) -> None:
        self.steps.append(transition)

    def close(self) -> None:
        pass


def test_plans_come_back_with_start_step_and_stamp() -> None:
    env = make_env()
    now = env.reset(0)
    with process(env) as planner:
        planner.reset(7)
        plan = eventually(lambda: planner.plan(now.obs, 3, now.stamp_ns))
        assert (plan.start_step, plan.stamp_ns, plan.seed) == (3, now.stamp_ns, 1)
        assert plan.actions.shape == (8, 7)
        np.testing.assert_allclose(plan.actions[:, 0], (3 + np.arange(8)) / 1000)
        assert plan.valid.all()
        assert plan.value == pytest.approx(float(now.obs["state"][0]))


def test_a_rollout_follows_what_comes_late_at_the_right_place() -> None:
    """Action j of a plan from step s says s + j: whatever the delay, step i does action i."""
    env, sink = make_env(), Kept()
    with process(env, delay_s=0.02) as planner:
        rollout = Rollout(env, planner, sink=sink)
        rollout.follower.replan_every = 2

        def proceed(_: object) -> bool:
            time.sleep(0.01)
            return True

        rollout.episode(0, proceed=proceed)
    assert len(sink.steps) == 30
    made = {step.plan_step for step in sink.steps}
    assert len(made) > 3
    followed = [s for s in sink.steps if s.source is Source.RANDOM]
    assert any(step.plan_step < step.step - 1 for step in followed)
    for step in followed:
        held = step.step - 1 >= step.plan_step + 8
        if not held:
            assert round(1000 * float(step.proposed[0])) == step.step - 1


def test_a_simulation_waits_for_its_plans() -> None:
    env, sink = make_env(), Kept()
    with process(env, delay_s=0.02) as planner:
        rollout = Rollout(env, planner, sink=sink, wait_for_plans=True)
        rollout.episode(0)
    assert [round(1000 * float(step.proposed[0])) for step in sink.steps] == list(range(30))
    assert [step.plan_step for step in sink.steps] == [i // 8 * 8 for i in range(30)]


def test_at_most_one_question_is_under_way() -> None:
    env = make_env()
    now = env.reset(0)
    with process(env, delay_s=0.05) as planner:
        planner.reset()
        first = eventually(lambda: planner.plan(now.obs, 0, 0))
        for step in range(1, 200):
            planner.plan(now.obs, step, 0)
        later = eventually(lambda: planner.plan(now.obs, 200, 0))
    assert first.seed == 1
    assert later.seed <= 3, "the child has not worked off two hundred questions"


def test_weights_are_taken_and_refused_in_the_child() -> None:
    env = make_env()
    now = env.reset(0)
    with process(env) as planner:
        planner.reset()
        planner.load({"bias": np.array([0.5], np.float32)}, 4)

        def at_four() -> Any:
            plan = planner.plan(now.obs, 0, 0)
            return plan if plan is not None and plan.version == 4 else None

        plan = eventually(at_four)
        assert plan.actions[0, 0] == pytest.approx(0.5)
        assert planner.version == 4
        planner.load({"bias": np.array([np.nan], np.float32)}, 5)
        with pytest.raises(PoisonedDataError, match="bias nan"):
            eventually(lambda: planner.plan(now.obs, 0, 0) and False)
        assert planner.version == 4


def test_an_answer_to_an_earlier_episode_is_dropped() -> None:
    env = make_env()
    now = env.reset(0)
    with process(env, delay_s=0.2) as planner:
        planner.reset(1)
        assert planner.plan(now.obs, 0, 1) is None
        planner.reset(2)
        plan = eventually(lambda: planner.plan(now.obs, 0, 2))
        assert plan.stamp_ns == 2


def test_a_child_that_died_is_told_and_a_hung_one_stops_nothing() -> None:
    env = make_env()
    now = env.reset(0)
    with process(env) as planner:
        planner.reset()
        eventually(lambda: planner.plan(now.obs, 0, 0))
        os.kill(planner._child.pid, signal.SIGSTOP)
        big = {"bias": np.zeros(4_000_000, np.float32)}
        for step in range(20):  # 16 MB a time into a child that reads nothing
            planner.load(big, step + 1)
            assert planner.plan(now.obs, 1, 0) is None or step < 2
        os.kill(planner._child.pid, signal.SIGCONT)
        os.kill(planner._child.pid, signal.SIGKILL)
        with pytest.raises(WireError, match="has ended"):
            eventually(lambda: planner.plan(now.obs, 1, 0) and False)
