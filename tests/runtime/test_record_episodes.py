"""Recording: by a script, and by hand with its stop, its verdicts and hands off."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.errors import DataError, RobotFault
from robot_rl.runtime.record import Recording, ScriptedPolicy, record_demos
from robot_rl.testing.fake_operators import FakeOperator, sample_of
from robot_rl.testing.fakes import FakeTask, fake_bundle
from robot_rl.types import Array, Event, OperatorSample, Source
from robot_rl.wire.record import Kind

MOVE = sample_of([0.5, 0, 0, 0, 0, 0, -1.0])
"""Forward, and the gripper closes."""
ALONG = sample_of([0.5, 0, 0, 0, 0, 0, np.nan])


def make_env(steps: int = 10) -> RobotEnv:
    return RobotEnv(fake_bundle(), FakeTask(max_steps=steps, tolerance=1e-9))


def by_hand(
    path: Path, readings: Sequence[OperatorSample | None], *, episodes: int = 1, **how: bool
) -> Recording:
    return record_demos(
        make_env(), None, path, episodes=episodes, seed=0, operator=FakeOperator(readings), **how
    )


def steps_of(path: Path) -> list[Array]:
    found = []
    for episode in read_episodes(path):
        found.append(episode.records[episode.records["kind"] == Kind.STEP])
    return found


def test_with_hands_off_the_robot_keeps_its_setpoint(tmp_path: Path) -> None:
    """Zeros were sent once: in absolute mode a closed gripper half opened."""
    success = sample_of(None, Event.SUCCESS)
    by_hand(tmp_path / "d", [MOVE, MOVE, None, None, None, success])
    (steps,) = steps_of(tmp_path / "d")
    assert steps["commanded"][2:, 7].tolist() == [0.0] * 4
    assert np.abs(steps["action"][2:, :6]).max() < 1e-6
    assert (steps["source"] == Source.DEMO).all()


def test_a_verdict_while_recording_ends_the_episode(tmp_path: Path) -> None:
    success, failure = sample_of(None, Event.SUCCESS), sample_of(None, Event.FAILURE)
    recording = by_hand(
        tmp_path / "d", [ALONG, success, ALONG, failure, ALONG, success], episodes=2
    )
    assert (recording.kept, recording.discarded) == (2, 1)
    assert [len(steps) for steps in steps_of(tmp_path / "d")] == [2, 2]
    assert all(steps["success"][-1] == 1 for steps in steps_of(tmp_path / "d"))
    assert all(steps["terminated"][-1] == 1 for steps in steps_of(tmp_path / "d"))


def test_failures_are_kept_where_asked_for_and_marked(tmp_path: Path) -> None:
    by_hand(tmp_path / "d", [ALONG, sample_of(None, Event.FAILURE)], keep_failures=True)
    (steps,) = steps_of(tmp_path / "d")
    assert steps["success"][-1] == 0


def test_a_stop_while_recording_stops_and_keeps_what_there_was(tmp_path: Path) -> None:
    readings = [ALONG, sample_of(None, Event.SUCCESS), ALONG, sample_of(None, Event.STOP), ALONG]
    with pytest.raises(RobotFault, match="emergency stop"):
        by_hand(tmp_path / "d", readings, episodes=5)
    assert [len(steps) for steps in steps_of(tmp_path / "d")] == [2]


def test_what_a_person_discards_or_never_touches_is_not_kept(tmp_path: Path) -> None:
    untouched: list[OperatorSample | None] = [None] * 10
    discarded = [ALONG, sample_of(None, Event.DISCARD)]
    wanted = [ALONG, sample_of(None, Event.SUCCESS)]
    recording = by_hand(tmp_path / "d", [*untouched, *discarded, *wanted])
    assert (recording.kept, recording.discarded) == (1, 2)


def test_a_script_records_what_it_does_with_noise(tmp_path: Path) -> None:
    env = RobotEnv(fake_bundle(), FakeTask(max_steps=60))
    policy = ScriptedPolicy(env.expert_action, 0.1, 3)
    recording = record_demos(env, policy, tmp_path / "d", episodes=3, seed=0)
    found = steps_of(tmp_path / "d")
    assert recording.kept == len(found) == 3
    assert recording.transitions == sum(len(steps) for steps in found)
    assert all(steps["success"][-1] == 1 for steps in found)
    assert all((steps["source"] == Source.DEMO).all() for steps in found)


def test_an_expert_that_fails_is_told(tmp_path: Path) -> None:
    env = make_env()
    idle = ScriptedPolicy(env.hold)
    with pytest.raises(DataError, match="5 of 5 demonstrations failed"):
        record_demos(env, idle, tmp_path / "d", episodes=1, seed=0)


GOOD = [ALONG, sample_of(None, Event.SUCCESS)]
UNDO, PAUSE = sample_of(None, Event.UNDO), sample_of(None, Event.PAUSE)


def test_undo_takes_back_the_episode_kept_last_even_in_the_next(tmp_path: Path) -> None:
    """By an amendment: what was recorded stays in the file, and another one is asked for."""
    longer = [ALONG, ALONG, sample_of(None, Event.SUCCESS)]
    recording = by_hand(tmp_path / "d", [*GOOD, *longer, ALONG, UNDO, *GOOD, *GOOD], episodes=3)
    assert (recording.kept, recording.undone) == (3, 1)
    lengths = [len(steps) for steps in steps_of(tmp_path / "d")]
    assert lengths == [2, 4, 2]
    assert recording.transitions == sum(lengths)
    with LogReader(tmp_path / "d") as reader:
        assert sum(len(chunk.records) for chunk in reader.chunks()) == 3 + 4 + 5 + 3
        (undone,) = reader.amendments
    assert (undone.action, undone.episode) == ("discard", 1)


def test_as_much_is_taken_back_as_was_recorded_now(tmp_path: Path) -> None:
    by_hand(tmp_path / "d", GOOD)
    said: list[str] = []
    readings = [UNDO, *GOOD, UNDO, UNDO, *GOOD, *GOOD]
    recording = record_demos(
        make_env(), None, tmp_path / "d", episodes=3, seed=0, operator=FakeOperator(readings),
        append=True, say=said.append,
    )  # fmt: skip
    assert (recording.kept, recording.undone) == (3, 1)
    assert len(steps_of(tmp_path / "d")) == 3
    assert [text for text in said if "nothing left" in text] == said[:1] + said[2:3]


def test_a_pause_waits_and_leaves_nothing_of_an_untouched_episode(tmp_path: Path) -> None:
    said: list[str] = []
    readings = [None, PAUSE, None, None, UNDO, PAUSE, *GOOD, ALONG, PAUSE, *GOOD[1:], PAUSE, *GOOD]
    recording = record_demos(
        make_env(), None, tmp_path / "d", episodes=3, seed=0,
        operator=FakeOperator(readings), say=said.append,
    )  # fmt: skip
    assert [text for text in said if text in ("paused", "goes on")] == ["paused", "goes on"] * 2
    assert (recording.kept, recording.discarded) == (3, 0)
    assert [len(steps) for steps in steps_of(tmp_path / "d")] == [2, 3, 2]


def test_a_stop_while_paused_is_a_fault(tmp_path: Path) -> None:
    readings = [*GOOD, PAUSE, None, sample_of(None, Event.STOP), *GOOD]
    with pytest.raises(RobotFault, match="emergency stop"):
        by_hand(tmp_path / "d", readings, episodes=2)
    assert len(steps_of(tmp_path / "d")) == 1


def test_hands_off_all_along_is_said_and_asked_again(tmp_path: Path) -> None:
    said: list[str] = []
    untouched: list[OperatorSample | None] = [None] * 10
    operator = FakeOperator([*untouched, *GOOD])
    record_demos(
        make_env(), None, tmp_path / "d", episodes=1, seed=0, operator=operator, say=said.append
    )
    assert said == ["not kept, again: nobody moved the robot"]


def test_a_full_disk_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(descriptor: int, parts: Sequence[bytes]) -> int:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(descriptor)
        return writev(descriptor, parts)

    writev = os.writev
    monkeypatch.setattr("robot_rl.data.log_writer.os.writev", full)
    with pytest.raises(DataError, match="No space left"):
        by_hand(tmp_path / "d", GOOD * 3, episodes=3)
    monkeypatch.undo()
    assert len(steps_of(tmp_path / "d")) == 2
    assert by_hand(tmp_path / "d", GOOD, episodes=3, append=True).kept == 3


def test_a_lost_device_ends_the_recording_and_keeps_what_is_finished(tmp_path: Path) -> None:
    lost = OperatorSample(ALONG.motion, 1)
    with pytest.raises(RobotFault, match="device was lost"):
        by_hand(tmp_path / "d", [*GOOD, ALONG, *[lost] * 20], episodes=3)
    assert len(steps_of(tmp_path / "d")) == 1
