"""What one process writes into the page, another reads whole."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from robot_rl.drivers.remote.page import (
    BeatReader,
    Page,
    Slot,
    command_dtype,
    put_command,
    put_state,
    state_dtype,
    take_command,
    take_state,
)
from robot_rl.errors import DataError
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import CartesianCommand, JointCommand

READS = 20_000


def hammer(path: Path, stop: object) -> None:
    page = Page(path, 2, 7)
    record = np.zeros((), state_dtype(2, 7))
    number = 0
    while not stop.is_set():  # type: ignore[attr-defined]
        number += 1
        record["q"] = record["pose"] = record["clock_ns"] = number
        page.state.write(record)
        page.beat(number)


def torn_reads(path: Path) -> int:
    """Reads of a slot that is being written all the time which mix two records."""
    page = Page(path, 2, 7, create=True)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=hammer, args=(path, stop))
    writer.start()
    try:
        torn = seen = 0
        last = -1.0
        while seen < READS:
            record = page.state.read()
            values = {*record["q"].ravel(), *record["pose"].ravel(), float(record["clock_ns"])}
            torn += len(values) > 1
            seen += record["clock_ns"] > 0
            assert len(values) > 1 or record["clock_ns"] >= last, "an older record came back"
            last = max(values)
            if not writer.is_alive():
                pytest.fail("the writer has ended")
    finally:
        stop.set()
        writer.join()
    return torn


def test_no_read_mixes_two_records(tmp_path: Path) -> None:
    assert torn_reads(tmp_path / "page") == 0


def test_without_the_lock_some_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlocked(self: Slot) -> object:
        half = self._body + 8 * 40
        data = self._page[self._body : half] + self._page[half : self.end]
        return np.frombuffer(data, self._dtype)[0]

    monkeypatch.setattr(Slot, "read", unlocked)
    assert torn_reads(tmp_path / "page") > 0


def test_a_half_written_record_is_not_taken(tmp_path: Path) -> None:
    page = Page(tmp_path / "page", 1, 7, create=True)
    record = np.zeros((), state_dtype(1, 7))
    record["clock_ns"] = 5
    page.state.write(record)
    assert page.state.read()["clock_ns"] == 5
    page._words[page.state._lock] |= 1  # its writer has died in the middle
    page._map[page.state._body : page.state._body + 8] = b"\xff" * 8
    assert page.state.read()["clock_ns"] == 5


@pytest.mark.parametrize("joints", [6, 7])
def test_states_and_commands_come_back_as_they_went(joints: int) -> None:
    robot = FakeRobot()
    robot.connect()
    state = robot.read()
    record = np.zeros((), state_dtype(1, state.q.shape[1]))
    put_state(record, state)
    back = take_state(record)
    for name in type(state).__slots__:
        assert np.array_equal(getattr(state, name), getattr(back, name)), name
    carried = np.zeros((), command_dtype(1, joints))
    for command in (
        CartesianCommand(state.pose, state.gripper_width, 17),
        CartesianCommand(state.pose, state.gripper_width, 18, np.full((1, 6), 0.25)),
        JointCommand(np.full((1, joints), 0.5), state.gripper_width, 19, np.ones((1, joints))),
        JointCommand(np.full((1, joints), 0.5), state.gripper_width, 20),
    ):
        put_command(carried, command)
        back_command = take_command(carried, joints)
        assert type(back_command) is type(command)
        for name in type(command).__slots__:
            assert np.array_equal(getattr(command, name), getattr(back_command, name)), name


def test_another_page_is_refused(tmp_path: Path) -> None:
    Page(tmp_path / "page", 1, 7, create=True)
    with pytest.raises(DataError, match="2 arms with 6 joints"):
        Page(tmp_path / "page", 2, 6)


def test_the_heartbeat_is_read_without_knowing_the_robot(tmp_path: Path) -> None:
    reader = BeatReader(tmp_path / "page")
    assert reader.read() == (0, 0)
    page = Page(tmp_path / "page", 2, 6, create=True)
    page.beat(123)
    assert reader.read() == page.last_beat()
    assert reader.read()[1] == 123
