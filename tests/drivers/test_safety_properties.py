"""Properties of the whole safety layer, whatever is asked: nothing outside any bound, two arms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_commands import (
    KINDS,
    Ask,
    count_of,
    craig_poses,
    faults_of,
    play,
    random_asks,
    two_arms,
)

from robot_rl.drivers.joint_setpoint import JointLimiter

ASKS = st.lists(
    st.builds(
        Ask,
        st.sampled_from(KINDS),
        st.tuples(*[st.floats(-1.0, 1.0, allow_nan=False)] * 14),
        st.one_of(st.just(0.0), st.floats(-1.0, 1.0)),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=15,
)


@pytest.mark.parametrize("joint", [False, True], ids=["cartesian", "joint"])
@given(asks=ASKS)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_no_setpoint_is_outside_any_bound(asks: list[Ask], joint: bool) -> None:
    robot, inner = two_arms(joint=joint)
    play(robot, asks, joint=joint)
    assert faults_of(robot, inner, joint=joint) == []


@pytest.mark.parametrize("joint", [False, True], ids=["cartesian", "joint"])
def test_random_asks_at_some_length(joint: bool) -> None:
    robot, inner = two_arms(joint=joint)
    play(robot, random_asks(np.random.default_rng(1), 300), joint=joint)
    assert count_of(inner) > 3000
    assert faults_of(robot, inner, joint=joint) == []


def without_ends(self: JointLimiter, *arguments: Any) -> None:
    MADE(self, *arguments)
    self._low, self._high = [-9.0] * 7, [9.0] * 7


MADE = JointLimiter.__init__
PLANTED: dict[str, tuple[str, Any, bool, str]] = {
    "walls": ("setpoint.stops_in_box", lambda *_: True, False, "left to a wall"),
    "joint walls": (
        "joint_setpoint.JointLimiter._keeps_the_workspace",
        lambda *_: True,
        True,
        "off the centre",
    ),
    "joint ends": ("joint_setpoint.JointLimiter.__init__", without_ends, True, "beyond its range"),
    "accelerations": (
        "joint_setpoint.effective_acceleration",
        lambda acceleration, jerk, dt: 3.0 * acceleration,
        True,
        "joint_acceleration",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_sees_a_layer_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted bugs: the properties above must fail when a part of the layer is left out."""
    target, planted, joint, expected = PLANTED[name]
    monkeypatch.setattr(f"robot_rl.drivers.{target}", planted)
    robot, inner = two_arms(joint=joint)
    play(robot, random_asks(np.random.default_rng(1), 300), joint=joint)
    lines = faults_of(robot, inner, joint=joint)
    assert any(expected in line for line in lines), lines


def test_the_judges_kinematics_are_those_of_the_model() -> None:
    _, inner = two_arms(joint=True)
    assert inner.kinematics is not None
    rng = np.random.default_rng(0)
    q = rng.uniform(-2.0, 2.0, (50, 7))
    shown = np.array([inner.kinematics.forward(0, row) for row in q.tolist()])
    same = np.abs((shown[:, 3:] * craig_poses(q)[:, 3:]).sum(axis=1))
    assert np.allclose(craig_poses(q)[:, :3], shown[:, :3], atol=1e-6)
    assert np.allclose(same, 1.0, atol=1e-9)
