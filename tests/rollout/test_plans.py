"""Following plans: a pure function of what was taken and when."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.errors import SpecError
from robot_rl.rollout.plans import PlanFollower
from robot_rl.types import Plan


def plan(start: int, horizon: int = 4, *, valid: int | None = None, tag: float = 0.0) -> Plan:
    """Action j is tag + j / 100."""
    actions = (tag + np.arange(horizon) / 100)[:, None].astype(np.float32)
    mask = np.arange(horizon) < (horizon if valid is None else valid)
    return Plan(actions, mask, start, stamp_ns=start)


def said(follower: PlanFollower, step: int) -> float | None:
    proposal = follower.propose(step)
    return None if proposal is None else round(float(proposal.action[0]), 3)


def test_a_plan_is_followed_from_its_start() -> None:
    follower = PlanFollower()
    assert follower.wants(0)
    assert said(follower, 0) is None
    assert follower.take(plan(0), 0)
    assert [said(follower, i) for i in range(4)] == [0.0, 0.01, 0.02, 0.03]
    assert [follower.wants(i) for i in range(1, 6)] == [False, False, False, True, True]


def test_the_last_action_is_held_and_never_zeros() -> None:
    follower = PlanFollower(patience=2)
    follower.take(plan(0, tag=0.5), 0)
    assert [said(follower, i) for i in (3, 4, 5)] == [0.53, 0.53, 0.53]
    assert said(follower, 6) is None, "then the loop keeps the setpoint"


def test_a_late_plan_begins_at_the_actions_really_consumed() -> None:
    follower = PlanFollower()
    follower.take(plan(0), 0)
    # asked for at step 2, it comes at step 5: three of its actions have been consumed meanwhile
    assert follower.take(plan(2, horizon=8, tag=0.5), 5)
    assert said(follower, 5) == pytest.approx(0.53)


def test_a_receding_horizon_asks_every_k_steps() -> None:
    follower = PlanFollower(replan_every=2)
    follower.take(plan(0, horizon=8), 0)
    assert [follower.wants(i) for i in (1, 2, 3)] == [False, True, True]
    assert said(follower, 3) == pytest.approx(0.03), "until there is a new one"
    follower.take(plan(3, horizon=8, tag=0.5), 3)
    assert said(follower, 3) == pytest.approx(0.5)
    assert [follower.wants(i) for i in (4, 5)] == [False, True]


def test_only_the_valid_actions_count() -> None:
    follower = PlanFollower(patience=5)
    follower.take(plan(0, valid=2), 0)
    assert [said(follower, i) for i in (0, 1, 2)] == [0.0, 0.01, 0.01]
    assert follower.wants(2)
    with pytest.raises(SpecError, match="0 valid actions"):
        follower.take(plan(1, valid=0), 2)


def test_what_was_asked_for_before_a_takeover_is_dropped() -> None:
    follower = PlanFollower()
    follower.take(plan(0), 0)
    follower.clear(3)
    assert said(follower, 3) is None
    assert follower.wants(3)
    assert not follower.take(plan(2), 3), "it answers a moment before the takeover"
    assert follower.take(plan(3, tag=0.5), 4)
    assert said(follower, 4) == pytest.approx(0.51)


def test_an_older_plan_does_not_replace_a_newer_one() -> None:
    follower = PlanFollower()
    follower.take(plan(4, tag=0.5), 4)
    assert not follower.take(plan(2), 5)
    assert said(follower, 5) == pytest.approx(0.51)


def test_a_plan_from_the_future_is_refused() -> None:
    with pytest.raises(SpecError, match="from step 3 at step 1"):
        PlanFollower().take(plan(3), 1)


def test_plans_are_numbered() -> None:
    follower = PlanFollower()
    for start in (0, 4, 8):
        follower.take(plan(start), start)
        proposal = follower.propose(start)
        assert proposal is not None
        assert proposal.number == start // 4 + 1
