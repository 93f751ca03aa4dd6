"""Who holds the robot among the pages, and the deadman: stepped clock, the real slot between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.console.hands import NAN, Hands
from robot_rl.drivers.operators.browser import DEADMAN_NS, BrowserOperator
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.rollout.arbitration import MAX_AGE_NS, InterventionState, arbitrate
from robot_rl.testing.check_operator import check_operator
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Array, CartesianCommand, Context, Event, OperatorSample, Source
from robot_rl.wire.wishes import WishReader, WishWriter

MS = 1_000_000
UP = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, NAN]


class Desk:
    """Pages, slot and operator on one clock, and what would act."""

    def __init__(self, directory: Path) -> None:
        self.now, self.directory = 1_000 * MS, directory
        self.writer = WishWriter(directory, "actor-0")
        self.hands = Hands(self.writer.write, lambda: self.now)
        self.operator = BrowserOperator(directory, "actor-0", 7, now_ns=lambda: self.now)
        self.environment = RobotEnv(fake_bundle(), FakeTask())
        self.step = self.environment.reset(0)
        self.memory = InterventionState()
        self.now += MS

    def read(self) -> OperatorSample | None:
        return self.operator.read(Context(self.step, None, self.environment.hold()))

    def acts(self) -> tuple[Source, Array]:
        """Who acts now, and how, a policy that always goes up and to the right beside."""
        sample, motion = self.read(), None
        if sample is not None:
            motion = sample.motion
            if isinstance(motion, CartesianCommand):
                motion = self.environment.encode(motion)
        stale = sample is not None and self.now - sample.stamp_ns > MAX_AGE_NS
        hold = self.environment.hold()
        action, self.memory = arbitrate(
            np.full(7, 0.5, np.float32), motion, self.memory, hold, stale=stale
        )
        return action.source, action.vector

    def holds(self) -> bool:
        return bool(np.array_equal(self.acts()[1], self.environment.hold()))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_takeover_holds_until_something_moves(desk: Desk) -> None:
    assert desk.acts()[0] is Source.POLICY
    desk.hands.opened(1)
    desk.hands.take(1)
    assert desk.acts()[0] is Source.HUMAN
    assert desk.holds()
    desk.hands.jog(1, 0, UP)
    assert not desk.holds()
    desk.hands.release(1)
    assert desk.acts()[0] is Source.POLICY


def test_what_reports_no_more_moves_nothing_any_more(desk: Desk) -> None:
    """A page that hangs: its socket is open, its person's button is not heard of."""
    desk.hands.opened(1)
    desk.hands.take(1)
    goal = desk.step.state.setpoint[0] + [0, 0, 0.1, 0, 0, 0, 0]  # type: ignore[union-attr]
    for ask in (lambda: desk.hands.jog(1, 0, UP), lambda: desk.hands.drag(1, 0, goal)):
        ask()
        desk.now += DEADMAN_NS - MS
        desk.hands.beat()
        assert not desk.holds()
        desk.now += MS
        desk.hands.beat()
        assert desk.acts()[0] is Source.HUMAN
        assert desk.holds()


def test_letting_go_of_a_drag_stops_at_once(desk: Desk) -> None:
    desk.hands.opened(1)
    desk.hands.take(1)
    desk.hands.drag(1, 0, desk.step.state.setpoint[0] + 0.1)  # type: ignore[union-attr]
    assert not desk.holds()
    desk.hands.let_go(1)
    assert desk.holds()


@pytest.mark.parametrize("how", ["page", "process"])
def test_a_client_that_is_lost_holds_and_the_policy_never_goes_on_by_itself(
    desk: Desk, how: str
) -> None:
    desk.hands.opened(1)
    desk.hands.take(1)
    desk.hands.drag(1, 0, desk.step.state.setpoint[0] + 0.1)  # type: ignore[union-attr]
    assert not desk.holds()
    if how == "page":
        desk.hands.closed(1)
        assert desk.holds()
    for _ in range(5):
        desk.now += MAX_AGE_NS + MS
        if how == "page":
            desk.hands.beat()
        assert desk.acts()[0] is Source.SCRIPT
        assert desk.holds()
    # a console's process that comes anew has clean wishes, and they release nothing
    again = WishWriter(desk.directory, "actor-0")
    hands = Hands(again.write, lambda: desk.now)
    hands.opened(7)
    assert desk.acts()[0] is not Source.POLICY
    assert desk.holds()
    hands.release(7)
    assert desk.acts()[0] is Source.POLICY


def test_one_page_moves_and_all_may_stop_and_judge(desk: Desk) -> None:
    desk.hands.opened(1)
    desk.hands.opened(2)
    assert desk.hands.take(1)
    assert not desk.hands.take(2)
    assert not desk.hands.release(2)
    desk.hands.jog(2, 0, UP)
    desk.hands.drag(2, 0, [9.0] * 7)
    assert desk.acts()[0] is Source.HUMAN
    assert desk.holds()
    desk.hands.press(Event.SUCCESS)
    sample = desk.read()
    assert sample is not None
    assert sample.events is Event.SUCCESS
    desk.hands.closed(1)
    assert desk.hands.take(2)


def test_each_press_is_heard_once_and_none_from_before(desk: Desk, tmp_path: Path) -> None:
    for event in (Event.FAILURE, Event.PAUSE, Event.DISCARD, Event.STOP):
        desk.now += MS
        desk.hands.press(event)
        sample = desk.read()
        assert sample is not None
        assert (sample.events, sample.motion) == (event, None)
        assert desk.read() is None
    later = BrowserOperator(tmp_path, "actor-0", 7, now_ns=lambda: desk.now)
    assert later.read(Context(desk.step, None, desk.environment.hold())) is None
    assert not later.stopped()


def test_a_stop_is_seen_without_a_reading_and_until_one(desk: Desk) -> None:
    assert not desk.operator.stopped()
    desk.hands.press(Event.STOP)
    assert desk.operator.stopped()
    assert desk.operator.stopped()
    assert desk.read() is not None
    assert not desk.operator.stopped()


def test_rewind_lasts_while_it_is_held(desk: Desk) -> None:
    desk.hands.press(Event.REWIND)
    for _ in range(2):
        sample = desk.read()
        assert sample is not None
        assert sample.events is Event.REWIND
    desk.now += DEADMAN_NS
    assert desk.read() is None


def test_nothing_and_damage_are_hands_off(desk: Desk, tmp_path: Path) -> None:
    reader = WishReader(tmp_path, "nobody")
    assert reader.read() is None
    for damage in (b"", b"x" * 10, b"\0" * desk.writer.path.stat().st_size):
        (tmp_path / "bad.wishes").unlink(missing_ok=True)
        (tmp_path / "bad.wishes").write_bytes(damage)
        assert WishReader(tmp_path, "bad").read() is None
    desk.hands.opened(1)
    desk.hands.take(1)
    found = bytearray(desk.writer.path.read_bytes())
    found[140] ^= 1  # a time, without its checksum
    desk.writer.path.write_bytes(found)
    assert desk.read() is None


def test_a_goal_that_is_not_finite_or_of_no_arm_moves_nothing(desk: Desk) -> None:
    desk.hands.opened(1)
    desk.hands.take(1)
    for arm, pose in ((0, [NAN] * 7), (0, [float("inf")] * 7), (3, [0.5] * 7)):
        desk.hands.drag(1, arm, pose)
        assert desk.holds()


def test_it_conforms(desk: Desk) -> None:
    desk.hands.opened(1)
    desk.hands.take(1)
    check_operator(BrowserOperator(desk.directory, "actor-0", 7), desk.environment)
