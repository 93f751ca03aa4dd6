"""The mailbox: newest weights whole, growing sizes, credits of this life only, restarts."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from robot_rl.errors import DataError
from robot_rl.wire.mailbox import LinkStatus, MailboxReader, MailboxWriter
from robot_rl.wire.protocol import ControlKind
from robot_rl.wire.weights import FlatWeights


def weights(version: int, size: int = 1000) -> FlatWeights:
    return FlatWeights.pack({"w": np.full((size,), version, "f4"), "b": np.ones((2, 3))}, version)


def test_weights_arrive_whole_with_names_and_shapes(tmp_path: Path) -> None:
    reader = MailboxReader(tmp_path, "a", 1)
    assert reader.weights(reader.state()) is None
    writer = MailboxWriter(tmp_path, "a")
    for version, size in ((1, 10), (2, 10), (3, 100_000), (4, 5)):
        writer.put_weights(weights(version, size))
        found = reader.weights(reader.state())
        assert found is not None
        arrays, got = found
        assert got == version
        assert arrays["b"].shape == (2, 3)
        np.testing.assert_array_equal(arrays["w"], np.full(size, version))
    assert len(list(tmp_path.glob("*.weights"))) == 1


def test_reader_never_sees_a_mixture_of_versions(tmp_path: Path) -> None:
    writer = MailboxWriter(tmp_path, "a")
    reader = MailboxReader(tmp_path, "a", 1)
    stop = threading.Event()

    def publish() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            writer.put_weights(weights(version, 20_000))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        seen: set[int] = set()
        while len(seen) < 50:
            found = reader.weights(reader.state())
            if found is not None:
                assert set(found[0]["w"].tolist()) == {float(found[1])}
                seen.add(found[1])
    finally:
        stop.set()
        thread.join()


def test_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    writer = MailboxWriter(tmp_path, "a")
    reader = MailboxReader(tmp_path, "a", 2**64 - 1)
    writer.update(
        published_version=7,
        credit_epoch=2**64 - 1,
        credits=1 << 62,
        control_number=3,
        control_kind=int(ControlKind.PAUSE),
    )
    writer.say(LinkStatus.SPOOL_FULL, "the disk is full")
    state = reader.state()
    assert (state.published_version, state.credits) == (7, 1 << 62)
    assert state.control() == type(state.control())(3, ControlKind.PAUSE)
    assert state.status == LinkStatus.SPOOL_FULL
    assert reader.text == "the disk is full"
    assert state.beat_ns > 0


def test_half_written_state_leaves_the_last_one(tmp_path: Path) -> None:
    writer = MailboxWriter(tmp_path, "a")
    reader = MailboxReader(tmp_path, "a", 1)
    writer.update(credits=5)
    assert reader.state().credits == 5
    page = (tmp_path / "a.mail").open("r+b")
    page.seek(64)
    page.write((99).to_bytes(8, "little"))  # odd: the writer died within an update
    page.seek(72)
    page.write(b"\xff" * 40)
    page.close()
    assert reader.state().credits == 5
    again = MailboxWriter(tmp_path, "a")
    again.update(credits=6)
    assert reader.state().credits == 6


def test_the_actor_says_that_it_lives_and_what_it_uses(tmp_path: Path) -> None:
    writer = MailboxWriter(tmp_path, "a")
    assert writer.actor_beat()[1] == 0
    reader = MailboxReader(tmp_path, "a", 9)
    reader.beat(4)
    epoch, beat, version, resting = writer.actor_beat()
    assert (epoch, version, resting) == (9, 4, False)
    assert beat > 0
    reader.beat(4, resting=True)
    assert writer.actor_beat()[3]


def test_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mail").write_bytes(b"x" * 4096)
    with pytest.raises(DataError, match="not a mailbox"):
        MailboxWriter(tmp_path, "a")
