"""The latest-value slot: one writer, readers in other processes, torn, dead and damaged slots."""

from __future__ import annotations

import math
import multiprocessing as mp
import os
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.errors import DataError, WireError
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.testing.wire_harness import random_observation, small_spec, wait_for
from robot_rl.types import Action, LimitStage, Purpose, RobotState, Source, Step
from robot_rl.wire.latest import LatestReader, LatestWriter
from robot_rl.wire.latest_layout import ROBOT, Latest
from robot_rl.wire.seqlock import SeqLock

SPEC = small_spec(image=16)
RNG = np.random.default_rng(0)


def robot(number: float = 1.0) -> RobotState:
    shapes = {"q": (1, 7), "dq": (1, 7), "tau": (1, 7), "pose": (1, 7), "setpoint": (1, 7)}
    shapes |= {"twist": (1, 6), "wrench": (1, 6)}
    arrays = {name: np.full(shapes.get(name, (1,)), number) for name in ROBOT}
    return RobotState(5, 6, limiting_stage=LimitStage.FORCE, fault="too hard", **arrays)


def step(spec: EnvSpec = SPEC, state: RobotState | None = None, number: int = 7) -> Step:
    return Step(
        obs=random_observation(spec, RNG),
        stamps={"camera": 70},
        state=state,
        executed=np.full(7, number, np.float32),
        commanded=np.full(8, number, np.float32),
        stage=LimitStage.FORCE,
        reward=0.5,
        success=-1,
        terminated=False,
        truncated=True,
        fault="too hard",
        stamp_ns=80,
        action_stamp_ns=60,
        boot_id=2**64 - 1,
        late_ns=-3,
    )


def action(human: bool = True) -> Action:
    numbers = np.arange(7, dtype=np.float32)
    return Action(numbers, Source.HUMAN, -numbers, 2 * numbers if human else None, 4)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LatestWriter]:
    found = LatestWriter(tmp_path, "a", SPEC, arms=1, joints=7)
    yield found
    found.close()


def test_everything_that_is_written_is_read(tmp_path: Path, writer: LatestWriter) -> None:
    reader = LatestReader(tmp_path, "a")
    assert reader.read() is None, "nothing yet"
    mine, done = step(state=robot()), action()
    writer.write(
        mine, action=done, episode=3, index=9, version=11, value=0.25, purpose=Purpose.EVALUATION
    )
    found = reader.read()
    assert found is not None
    assert (found.episode, found.index, found.version, found.value) == (3, 9, 11, 0.25)
    assert found.purpose is Purpose.EVALUATION
    for name in ("stage", "reward", "success", "terminated", "truncated", "fault", "stamp_ns",
                 "action_stamp_ns", "boot_id", "late_ns"):  # fmt: skip
        assert getattr(found.step, name) == getattr(mine, name), name
    assert found.step.stamps == {"state": 80, "camera": 70}
    for name, array in mine.obs.items():
        np.testing.assert_array_equal(found.step.obs[name], array)
    np.testing.assert_array_equal(found.step.executed, mine.executed)
    np.testing.assert_array_equal(found.step.commanded, mine.commanded)
    assert found.step.state is not None
    assert mine.state is not None
    for name in ROBOT:
        np.testing.assert_array_equal(getattr(found.step.state, name), getattr(mine.state, name))
    assert (found.step.state.fault, found.step.state.limiting_stage) == ("too hard", 6 + 1)
    assert found.action is not None
    assert found.action.human is not None
    assert done.human is not None
    np.testing.assert_array_equal(found.action.vector, done.vector)
    np.testing.assert_array_equal(found.action.proposed, done.proposed)
    np.testing.assert_array_equal(found.action.human, done.human)
    assert (found.action.source, found.action.intervention_id) == (Source.HUMAN, 4)


def test_what_is_not_there_is_none(tmp_path: Path, writer: LatestWriter) -> None:
    reader = LatestReader(tmp_path, "a")
    writer.write(step(state=robot()), action=action(), episode=0, index=1)
    writer.write(step(), action=action(human=False), episode=0, index=2)
    found = reader.read()
    assert found is not None
    assert found.action is not None
    assert (found.step.state, found.action.human) == (None, None)
    assert math.isnan(found.value)
    writer.write(step(), episode=1, index=0)
    found = reader.read()
    assert found is not None
    assert found.action is None, "right after a reset nobody acted"


def test_a_reader_follows_the_actors_lives(tmp_path: Path) -> None:
    """The next one may have another specification."""
    reader = LatestReader(tmp_path, "a")
    assert reader.read() is None
    for spec, arms in ((SPEC, 0), (small_spec(image=24), 0), (small_spec(), 2)):
        writer = LatestWriter(tmp_path, "a", spec, arms=arms, joints=7)
        writer.write(step(spec), episode=arms, index=1)
        found = reader.read()
        assert found is not None
        assert {name: array.shape for name, array in found.step.obs.items()} == {
            array.name: array.shape for array in spec.observation
        }
        writer.close()
        assert reader.read() is not None, "the last moment stays"
    with pytest.raises(WireError, match="actor id"):
        LatestReader(tmp_path, "../a")


def test_a_writer_that_died_in_the_middle_is_known_by_its_age(
    tmp_path: Path, writer: LatestWriter
) -> None:
    reader = LatestReader(tmp_path, "a")
    writer.write(step(), episode=0, index=1)
    first = reader.read()
    assert first is not None
    assert first.age_s() >= 0
    assert replace(first, written_ns=first.written_ns - 3_000_000_000).age_s() > 3
    writer._lock.begin()
    assert reader.read() is None, "torn: nothing is shown in its place"
    writer.write(step(), episode=0, index=2)
    second = reader.read()
    assert second is not None
    assert second.index == 2


def written(directory: Path, seconds: float) -> None:
    """A writer in a process of its own: all arrays of one moment hold one number."""
    writer, number, end = LatestWriter(directory, "a", BIG, arms=1, joints=7), 0, 0.0
    end = time.monotonic() + seconds
    moment = step(BIG, robot())
    while time.monotonic() < end:
        number = (number + 1) % 200
        same = {name: np.full_like(array, number) for name, array in moment.obs.items()}
        now = replace(moment, obs=same, executed=np.full(7, number, np.float32), reward=number)
        writer.write(now, episode=number, index=number)


BIG = replace(SPEC, observation=(*SPEC.observation, ArraySpec("wide", (64, 64, 3), "uint8")))


def whole(found: Latest) -> bool:
    number = found.episode
    same = all((array == number).all() for array in found.step.obs.values())
    return same and bool((found.step.executed == number).all()) and found.step.reward == number


def test_readers_in_other_processes_never_see_half_a_moment(tmp_path: Path) -> None:
    """A writer at full speed, killed in the end; every moment read is of one write."""
    process = mp.get_context("fork").Process(target=written, args=(tmp_path, 30.0), daemon=True)
    process.start()
    readers = [LatestReader(tmp_path, "a") for _ in range(2)]
    seen: set[int] = set()
    wait_for("a moment", lambda: readers[0].read() is not None)
    while len(seen) < 100:
        for reader in readers:
            found = reader.read()
            if found is not None:
                assert whole(found)
                seen.add(found.index)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    last = readers[0].read()
    assert last is None or whole(last)


def test_without_the_lock_and_the_checksum_a_torn_moment_is_seen(
    tmp_path: Path, writer: LatestWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: a write that is interrupted half-way shows through."""
    reader = LatestReader(tmp_path, "a")
    writer.write(step(), episode=5, index=5)
    before = reader.read()
    assert before is not None
    writer._lock.begin()
    writer._views["episode"][0] = 6
    assert reader.read() is None
    monkeypatch.setattr(SeqLock, "read", lambda _, look, *__: look())
    with pytest.raises(DataError, match="the checksum does not match"):
        reader.read()
    monkeypatch.setattr("robot_rl.wire.latest.crc32c", lambda _: 0)
    struct.pack_into("<I", writer._page, writer._sum_at, 0)
    torn = reader.read()
    assert torn is not None
    assert (torn.episode, torn.index) == (6, 5)


@pytest.mark.parametrize("place", [0, 9, 16, 130, -20])
def test_a_damaged_slot_is_refused(tmp_path: Path, writer: LatestWriter, place: int) -> None:
    writer.write(step(), episode=0, index=1)
    file = tmp_path / "a.latest"
    data = bytearray(file.read_bytes())
    data[place] ^= 0x41
    file.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a\.latest: "):
        LatestReader(tmp_path, "a").read()


@pytest.mark.parametrize("size", [0, 64, 200, -1])
def test_a_slot_cut_short_is_refused(tmp_path: Path, writer: LatestWriter, size: int) -> None:
    writer.write(step(), episode=0, index=1)
    file = tmp_path / "a.latest"
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[:size])
    with pytest.raises(DataError, match=r"a\.latest: "):
        LatestReader(tmp_path, "a").read()
