"""The rules of order of a driver hold after any sequence of requests, faults and commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from robot_rl.drivers.remote.order import Order
from robot_rl.drivers.remote.page import Phase
from robot_rl.errors import RobotFault, SafetyError
from robot_rl.geometry import pose_add
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import CartesianCommand, JointCommand, RobotState

NEAR, FAR = 0.05, 0.4


def state() -> RobotState:
    robot = FakeRobot()
    robot.connect()
    return robot.read()


def goal(of: RobotState, away: float) -> CartesianCommand:
    pose = pose_add(of.setpoint, np.array([[0.0, 0.0, away, 0.0, 0.0, 0.0]]), "base")
    return CartesianCommand(pose, of.gripper_setpoint, of.stamp_ns)


class Rules(RuleBasedStateMachine):
    """A model beside it: connected, latched, moving, and whether a goal was followed since."""

    order_type: type[Order] = Order

    @initialize()
    def begin(self) -> None:
        self.order = self.order_type(0.1, 0.35)
        self.state = state()
        self.connected = self.latched = self.moving = self.following = False

    @rule()
    def connect(self) -> None:
        if self.connected:
            with pytest.raises(RobotFault, match="close"):
                self.order.connect()
            return
        self.order.connect()
        self.order.connected()
        self.connected, self.latched = True, False

    @rule(away=st.sampled_from([NEAR, FAR]))
    def command(self, away: float) -> None:
        ready = self.connected and not self.latched and not self.moving
        if not ready:
            with pytest.raises(RobotFault):
                self.order.accept(goal(self.state, away), self.state)
        elif away == FAR and not self.following:
            with pytest.raises(SafetyError, match="first goal"):
                self.order.accept(goal(self.state, away), self.state)
        else:
            self.order.accept(goal(self.state, away), self.state)
            self.following = True

    @rule()
    def move_to(self) -> None:
        if not self.connected or self.latched or self.moving:
            with pytest.raises(RobotFault):
                self.order.move()
            return
        self.order.move()
        self.moving, self.following = True, False

    @rule()
    def rest(self) -> None:
        self.order.rested()
        if not self.latched:
            self.moving = self.following = False

    @rule()
    def fail(self) -> None:
        self.order.failed("reflex")
        if self.connected:
            self.latched, self.moving, self.following = True, False, False

    @rule()
    def rearm(self) -> None:
        self.order.rearmed()
        self.latched = False

    @rule()
    def close(self) -> None:
        self.order.closed()
        self.connected = self.latched = self.moving = self.following = False

    @invariant()
    def phase_agrees(self) -> None:
        expected = (
            Phase.READY
            if not self.connected
            else Phase.FAULT
            if self.latched
            else Phase.MOVING
            if self.moving
            else Phase.FOLLOWING
            if self.following
            else Phase.HOLDING
        )
        assert self.order.phase is expected
        assert bool(self.order.fault) == self.latched


class Forgetful(Order):
    """A stop forgets that the next goal is a first one."""

    def rested(self) -> None:
        if self.phase is Phase.MOVING:
            self.phase = Phase.FOLLOWING


class Forgiving(Order):
    """A fault is over as soon as somebody commands."""

    def require_ready(self, what: str) -> None:
        self.rearmed()
        super().require_ready(what)


def play(kind: type[Order]) -> None:
    machine = type("Played", (Rules,), {"order_type": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150, stateful_step_count=25, deadline=None, derandomize=True
        ),
    )


def test_rules_of_order() -> None:
    play(Order)


@pytest.mark.parametrize("kind", [Forgetful, Forgiving])
def test_rules_of_order_see_a_broken_rule(kind: type[Order]) -> None:
    with pytest.raises(BaseException, match=r"."):
        play(kind)


def test_first_goal_in_joints_is_checked() -> None:
    order, now = Order(0.1, 0.35), state()
    order.connect()
    order.connected()
    q = now.q.copy()
    q[0, 3] += 0.4
    with pytest.raises(SafetyError, match=r"0\.400 rad"):
        order.accept(JointCommand(q, now.gripper_setpoint, now.stamp_ns), now)


def test_without_a_bound_the_first_goal_is_left_to_the_limiter() -> None:
    order, now = Order(0.0, 0.0), state()
    order.connect()
    order.connected()
    order.accept(goal(now, FAR), now)
    assert order.phase is Phase.FOLLOWING
