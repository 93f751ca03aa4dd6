"""A SpaceMouse through pyspacemouse, on a fake of the HID library below it and a stepped clock."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from robot_rl.config import load_config
from robot_rl.data.episodes import read_episodes
from robot_rl.drivers.operators.spacemouse import SpaceMouseOperator
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import ConfigError
from robot_rl.factory import make_operator
from robot_rl.rollout.arbitration import MAX_AGE_NS
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.placement import Inline
from robot_rl.runtime.record import ScriptedPolicy, record_demos
from robot_rl.testing.check_operator import check_operator
from robot_rl.testing.fake_hidapi import (
    WIRELESS,
    FakeHidApi,
    all_axes,
    battery,
    buttons,
    rotation,
    translation,
)
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Array, Context, Event, OperatorSample, Source, Transition

pytest.importorskip("pyspacemouse")
MS = 1_000_000
HERE = Context(None, None, np.full(7, np.nan, np.float32))
FORWARD = translation(0, -350, 0)
"""Away from the person: along x in the convention of ROS."""


@dataclass
class Desk:
    """A fake device, a clock that only a test moves, and what was said."""

    hid: FakeHidApi
    path: Path
    now: int = 1_000_000 * MS
    said: list[str] = field(default_factory=list)
    mice: list[SpaceMouseOperator] = field(default_factory=list)

    def mouse(self, **how: object) -> SpaceMouseOperator:
        given = {"path": str(self.path), "thread": False, "now_ns": lambda: self.now} | how
        mouse = SpaceMouseOperator(warn=self.said.append, **given)  # type: ignore[arg-type]
        self.mice.append(mouse)
        self.later(1000)  # it has settled
        return mouse

    def later(self, milliseconds: float) -> None:
        self.now += round(milliseconds * MS)

    def send(self, mouse: SpaceMouseOperator, *reports: bytes) -> OperatorSample | None:
        """What is read once these reports have come."""
        self.hid.send(self.path, *reports)
        mouse.drain()
        return mouse.read(HERE)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    hid, path = FakeHidApi(), tmp_path / "hidraw3"
    path.touch()
    monkeypatch.setattr("easyhid.easyhid.hidapi", hid)
    hid.plug(path)
    desk = Desk(hid, path)
    yield desk
    for mouse in desk.mice:
        mouse.close()


def motion_of(sample: OperatorSample | None) -> Array:
    assert sample is not None
    assert isinstance(sample.motion, np.ndarray)
    return sample.motion


@pytest.mark.parametrize(
    ("report", "axis", "sign"),
    [
        (FORWARD, 0, 1),
        (translation(-350, 0, 0), 1, -1),
        (translation(0, 0, -350), 2, -1),
        (rotation(0, 0, -350), 5, -1),
    ],
)
def test_axes_go_where_a_hand_points(desk: Desk, report: bytes, axis: int, sign: int) -> None:
    """x forward, y left, z up as seen by the person; y and z of a gripper that points down flip."""
    mouse = desk.mouse(rotation=1.0)
    motion = motion_of(desk.send(mouse, report))
    np.testing.assert_allclose(motion[axis], sign)
    assert np.count_nonzero(motion[:6]) == 1
    assert np.isnan(motion[6]), "only its buttons move the gripper"


def test_another_convention_is_another_frame(desk: Desk) -> None:
    mouse = desk.mouse(axis_convention="hid_z_up", flip=(1.0, 1.0, 1.0))
    np.testing.assert_allclose(motion_of(desk.send(mouse, FORWARD))[:3], [0, 1, 0])
    with pytest.raises(ConfigError, match="did you mean 'ros'"):
        desk.mouse(axis_convention="rso")


def test_all_six_axes_of_a_wireless_device_come_at_once(desk: Desk) -> None:
    desk.hid.plug(desk.path, WIRELESS)
    mouse = desk.mouse(rotation=1.0, flip=(1.0, 1.0, 1.0))
    motion = motion_of(desk.send(mouse, all_axes(350, -350, -350, 350, -350, -350)))
    np.testing.assert_allclose(motion[:6], [1, -1, 1, 1, -1, 1])


def test_the_deadband_is_no_motion_and_motion_begins_at_nothing(desk: Desk) -> None:
    mouse = desk.mouse(deadband=0.1, translation=0.5)
    assert desk.send(mouse, translation(0, -35, 0)) is None
    just = motion_of(desk.send(mouse, translation(0, -36, 0)))
    assert 0.0 < just[0] < 0.01
    np.testing.assert_allclose(motion_of(desk.send(mouse, FORWARD))[0], 0.5)


def test_a_backlog_of_a_hundred_is_drained_at_once(desk: Desk) -> None:
    mouse = desk.mouse()
    motion = motion_of(desk.send(mouse, *[translation(350, 0, 0)] * 99, FORWARD))
    np.testing.assert_allclose(motion[:3], [1, 0, 0])
    assert not desk.hid.queues[str(desk.path)]


def test_silence_while_deflected_leaves_an_old_stamp_and_battery_does_not_freshen_it(
    desk: Desk,
) -> None:
    mouse = desk.mouse()
    sample = desk.send(mouse, FORWARD)
    assert sample is not None
    assert sample.stamp_ns == desk.now
    pushed = desk.now
    desk.later(101)
    sample = desk.send(mouse, battery(80), buttons(0))
    assert sample is not None
    assert motion_of(sample)[0] == 1.0
    assert sample.stamp_ns == pushed
    assert desk.now - sample.stamp_ns > MAX_AGE_NS


def test_letting_go_is_hands_off_however_long_ago(desk: Desk) -> None:
    """At rest nothing is sent: an old stamp then would hold the arm for ever."""
    mouse = desk.mouse()
    desk.send(mouse, FORWARD)
    assert desk.send(mouse, translation(0, 0, 0)) is None
    desk.later(10_000)
    assert desk.send(mouse) is None
    sample = desk.send(mouse, buttons(2), buttons(0), buttons(2))
    assert sample is not None
    assert sample.stamp_ns == desk.now


def test_buttons_grip_and_keep_the_arm(desk: Desk) -> None:
    mouse = desk.mouse()
    for bits, grip in ((1, -1.0), (2, 1.0)):
        np.testing.assert_array_equal(
            motion_of(desk.send(mouse, buttons(bits))), [0, 0, 0, 0, 0, 0, grip]
        )
        assert desk.send(mouse, buttons(0)) is None
    np.testing.assert_allclose(motion_of(desk.send(mouse, FORWARD, buttons(1)))[[0, 6]], [1, -1])


@pytest.mark.parametrize("role", ["stop", "success", "failure", "discard", "undo", "pause"])
def test_buttons_say_what_they_are_told_to(desk: Desk, role: str) -> None:
    mouse = desk.mouse(buttons={"LEFT": role, "RIGHT": "rewind"})
    sample = desk.send(mouse, buttons(1), buttons(0))
    assert sample is not None, "pressed and let go within one look"
    assert sample.events is Event[role.upper()]
    assert sample.motion is None
    assert desk.send(mouse, buttons(0)) is None, "once a press"
    for _ in range(3):
        sample = desk.send(mouse, buttons(2))
        assert sample is not None
        assert sample.events is Event.REWIND, "as long as it is down"


def test_both_buttons_stand_for_neither(desk: Desk) -> None:
    mouse = desk.mouse(buttons={"LEFT": "close", "RIGHT": "open", "LEFT+RIGHT": "success"})
    sample = desk.send(mouse, buttons(3))
    assert sample is not None
    assert sample.events is Event.SUCCESS
    assert sample.motion is None


def test_a_stop_is_seen_without_a_reading(desk: Desk) -> None:
    mouse = desk.mouse(buttons={"LEFT": "stop"})
    assert not mouse.stopped()
    desk.hid.send(desk.path, buttons(1))
    mouse.drain()
    assert mouse.stopped()
    mouse.read(HERE)
    assert not mouse.stopped()


def test_unplugged_it_is_said_once_and_the_stamp_stays(desk: Desk) -> None:
    mouse = desk.mouse()
    desk.send(mouse, FORWARD)
    pushed = desk.now
    desk.hid.unplug(desk.path)
    for _ in range(5):
        desk.later(100)
        mouse.drain()
        sample = mouse.read(HERE)
        assert sample is not None
        assert sample.stamp_ns == pushed
    assert len(desk.said) == 1
    assert "unplugged?" in desk.said[0]
    desk.hid.plug(desk.path)
    desk.later(1000)
    mouse.drain()
    assert "is back" in desk.said[1]
    assert mouse.read(HERE) is None, "at rest"


def test_a_device_that_is_not_at_rest_when_it_is_opened_is_not_trusted(desk: Desk) -> None:
    mouse = desk.mouse()
    mouse._opened_ns = desk.now
    assert desk.send(mouse, translation(0, -100, 0)) is None
    desk.later(5000)
    assert desk.send(mouse, translation(0, -101, 0)) is None
    assert [("not at rest" in text) for text in desk.said] == [True]
    assert desk.send(mouse, translation(0, 0, 0)) is None
    assert motion_of(desk.send(mouse, FORWARD))[0] == 1.0


def test_axes_as_still_as_no_hand_holds_them_are_stuck(desk: Desk) -> None:
    """A drifting axis, which jitters by a count or two, too."""
    mouse = desk.mouse(stuck_s=3.0)
    ages = []
    for index in range(500):
        desk.later(8)
        sample = desk.send(mouse, translation(0, -100 - index % 2, 0))
        assert sample is not None
        ages.append(desk.now - sample.stamp_ns)
    assert max(ages[:300]) == 0
    assert min(ages[400:]) > MAX_AGE_NS
    assert len(desk.said) == 1
    assert "stuck or drifts (axis 0 at +0.2" in desk.said[0]
    desk.later(8)
    sample = desk.send(mouse, translation(0, -150, 0))
    assert sample is not None
    assert sample.stamp_ns == desk.now, "a hand moves it again"


def test_a_hand_that_trembles_is_not_stuck(desk: Desk) -> None:
    mouse, rng = desk.mouse(stuck_s=3.0), np.random.default_rng(0)
    for _ in range(1000):
        desk.later(8)
        x, y = rng.integers(-10, 10, 2)
        sample = desk.send(mouse, translation(int(x), -350, int(y)))
        assert sample is not None
        assert sample.stamp_ns == desk.now
    assert not desk.said


def test_the_thread_drains_and_closing_ends_it(desk: Desk) -> None:
    mouse = desk.mouse(thread=True, now_ns=time.monotonic_ns)
    mouse._opened_ns -= 10**10
    desk.hid.send(desk.path, *[FORWARD] * 100)
    deadline = time.monotonic() + 20
    while mouse.read(HERE) is None or desk.hid.queues[str(desk.path)]:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    mouse.close()
    mouse.close()
    assert not mouse._thread.is_alive()
    assert str(desk.path) in desk.hid.closed


def test_it_conforms(desk: Desk) -> None:
    env = RobotEnv(fake_bundle(), FakeTask())
    env.reset(0)
    mouse = desk.mouse(now_ns=time.monotonic_ns, buttons={"LEFT": "pause", "RIGHT": "open"})
    desk.hid.send(desk.path, FORWARD, rotation(350, 350, 350), buttons(3))
    mouse.drain()
    check_operator(mouse, env)


def test_what_cannot_be_opened_is_one_clear_line(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        desk.mouse(path=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="has no MENU; valid: LEFT, RIGHT"):
        desk.mouse(buttons={"MENU": "stop"})
    assert desk.hid.closed, "a device that is not used is not kept"
    with pytest.raises(ConfigError, match="did you mean 'close'"):
        desk.mouse(buttons={"LEFT": "clsoe"})
    with pytest.raises(ConfigError, match="not 14"):
        desk.mouse(action_dim=14)
    other = tmp_path / "hidraw4"
    other.touch()
    desk.hid.plug(other)
    with pytest.raises(ConfigError, match=r"which one.*hidraw3.*hidraw4"):
        desk.mouse(path=None)
    desk.hid.unplug(other)
    desk.mouse(path=None)
    desk.hid.refuse_to_open = True
    with pytest.raises(ConfigError, match="udev rule"):
        desk.mouse()
    desk.hid.unplug(desk.path)
    with pytest.raises(ConfigError, match="no SpaceMouse is plugged in"):
        desk.mouse(path=None)


def test_without_the_system_library_the_error_says_what_to_install(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr("easyhid.easyhid.hidapi", object())
        for path in (None, str(desk.path)):
            with pytest.raises(ConfigError, match="apt install libhidapi-hidraw0"):
                desk.mouse(path=path)


@dataclass
class Kept:
    steps: list[Transition] = field(default_factory=list)

    def start(self, *args: object, **more: object) -> None:
        pass

    def step(self, transition: Transition) -> None:
        self.steps.append(transition)

    def close(self) -> None:
        pass


def test_unplugged_in_an_intervention_the_arm_holds_and_a_person_re_arms(desk: Desk) -> None:
    """From silence on nobody acts: neither the last deflection nor, by itself, the policy."""
    mouse, sink = desk.mouse(), Kept()
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=10, tolerance=1e-9))
    aside = ScriptedPolicy(lambda: np.array([0, 1, 0, 0, 0, 0, 1], np.float32))

    def proceed(episode: object) -> bool:
        """A period of 100 ms; the puck is pushed from step 2 on and unplugged before step 5."""
        if len(sink.steps) == 5:
            desk.hid.unplug(desk.path)
        for _ in range(10):
            desk.later(10)
            if 2 <= len(sink.steps) < 5:
                desk.hid.send(desk.path, FORWARD)
            mouse.drain()
        return True

    rollout = Rollout(env, Inline(aside), mouse, sink=sink, now_ns=lambda: desk.now)
    rollout.episode(0, proceed=proceed)
    sources = [step.source for step in sink.steps]
    assert sources == [Source.RANDOM] * 2 + [Source.HUMAN] * 4 + [Source.SCRIPT] * 4
    held = np.array([step.action for step in sink.steps[6:]])
    assert np.abs(held[:, :6]).max() < 1e-6
    assert {step.intervention_id for step in sink.steps[2:]} == {1}


@dataclass
class Hand:
    """A person at the mouse: reports for each reading, in their order."""

    desk: Desk
    mouse: SpaceMouseOperator
    reports: list[list[bytes]]

    def read(self, context: Context) -> OperatorSample | None:
        if self.reports:
            self.desk.hid.send(self.desk.path, *self.reports.pop(0))
        self.mouse.drain()
        return self.mouse.read(context)

    def stopped(self) -> bool:
        return self.mouse.stopped()

    def close(self) -> None:
        self.mouse.close()


def test_demonstrations_are_recorded_and_taken_back_by_its_buttons(
    desk: Desk, tmp_path: Path
) -> None:
    mouse = desk.mouse(
        now_ns=time.monotonic_ns,
        buttons={"LEFT": "close", "RIGHT": "undo", "LEFT+RIGHT": "success"},
    )
    mouse._opened_ns -= 10**10
    rest, done = translation(0, 0, 0), [buttons(3), buttons(0)]
    good = [[FORWARD], [FORWARD, buttons(1)], [rest, *done]]
    hand = Hand(desk, mouse, [*good, [buttons(2), buttons(0)], *good, *good])
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=10, tolerance=1e-9))
    recording = record_demos(env, None, tmp_path / "d", episodes=2, seed=0, operator=hand)
    assert (recording.kept, recording.undone) == (2, 1)
    first, second = read_episodes(tmp_path / "d")
    assert (first.steps, second.steps) == (4, 3)
    human = second.records["human"][1:]
    np.testing.assert_allclose(human[:2, 0], 1.0)
    np.testing.assert_allclose(human[:2, 6], [1.0, -1.0])  # open as it was, then closed
    assert second.success == 1


def test_the_shipped_configs_make_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    env = RobotEnv(fake_bundle(), FakeTask())
    for words in (
        ["teleop=spacemouse", f"teleop.path={desk.path}", "teleop.buttons.RIGHT=stop"],
        ["teleop=spacemouse_keys"],
    ):
        person, terminal = pty.openpty()
        monkeypatch.setattr("sys.stdin", os.fdopen(terminal))
        operator = make_operator(load_config(words), env)
        desk.hid.send(desk.path, buttons(2))
        if isinstance(operator, SpaceMouseOperator):
            while not operator.stopped():
                time.sleep(0.001)
        operator.close()
        os.close(person)
