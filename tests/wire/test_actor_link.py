"""The actor's end alone: identity, a full ring, and an older I/O process's last words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.errors import InUseError, WireError
from robot_rl.testing.wire_harness import random_observation, random_transition, small_spec
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.mailbox import LinkStatus, MailboxWriter
from robot_rl.wire.protocol import ControlKind
from robot_rl.wire.record import Kind, record_dtype
from robot_rl.wire.ring import RingReader, ring_paths
from robot_rl.wire.weights import FlatWeights

SPEC = small_spec()


def test_records_carry_the_links_own_sequence(tmp_path: Path) -> None:
    link = ActorLink(tmp_path, SPEC, "a", 3)
    rng = np.random.default_rng(0)
    obs = random_observation(SPEC, rng)
    link.start(obs, 4, 10, 2)
    for step in (1, 2):
        link.step(random_transition(SPEC, rng, obs, step=step, episode=4))
    assert link.next_sequence == 3
    rows = np.frombuffer(RingReader(ring_paths(tmp_path, "a")[0]).read(9), record_dtype(SPEC))
    assert rows["sequence"].tolist() == [0, 1, 2]
    assert rows["kind"].tolist() == [Kind.START, Kind.STEP, Kind.STEP]
    np.testing.assert_array_equal(rows["obs.state"][0], obs["state"])
    link.close()
    link.close()


def test_second_actor_with_the_same_id_is_refused(tmp_path: Path) -> None:
    first = ActorLink(tmp_path, SPEC, "a", 1)
    with pytest.raises(InUseError, match="actor id 'a' is in use by process"):
        ActorLink(tmp_path, SPEC, "a", 2)
    first.close()
    ActorLink(tmp_path, SPEC, "a", 2).close()
    with pytest.raises(WireError, match="actor id 'a b'"):
        ActorLink(tmp_path, SPEC, "a b", 2)


def test_full_ring_says_why_and_loses_nothing_silently(tmp_path: Path) -> None:
    link = ActorLink(tmp_path, SPEC, "a", 1, slots=64)
    rng = np.random.default_rng(0)
    obs = random_observation(SPEC, rng)
    transition = random_transition(SPEC, rng, obs, step=1)
    link.start(obs, 0, 0, 1)
    assert link.hold_reason(need=64) != ""
    for _ in range(63):
        link.step(transition)
    assert link.hold_reason() == "the ring is full: the I/O process does not run"
    with pytest.raises(WireError, match="record 64 could not be kept"):
        link.step(transition)
    writer = MailboxWriter(tmp_path, "a")
    writer.say(LinkStatus.SPOOL_FULL, "/data/spool holds 5 bytes nobody acknowledged")
    assert link.hold_reason() == "spool_full: /data/spool holds 5 bytes nobody acknowledged"
    reader = RingReader(ring_paths(tmp_path, "a")[0])
    reader.read(2)
    reader.release()
    assert link.hold_reason() == ""
    link.close()


def test_last_words_of_an_older_io_process_do_not_concern_a_new_life(tmp_path: Path) -> None:
    writer = MailboxWriter(tmp_path, "a")
    writer.put_weights(FlatWeights.pack({"w": np.ones(3)}, 8))
    writer.update(
        published_version=9,
        credit_epoch=1,
        credits=50,
        control_number=1,
        control_kind=int(ControlKind.STOP),
    )
    writer.say(LinkStatus.REFUSED, "another specification")
    link = ActorLink(tmp_path, SPEC, "a", 2)
    assert link.refusal() == ""
    assert link.status is LinkStatus.STARTING
    assert link.control().kind is ControlKind.RUN
    assert (link.credits, link.published_version) == (0, 8)
    new = link.newest()
    assert new is not None, "the weights are as good as any"
    assert new[1] == 8
    assert link.newest() is None
    writer.update(credit_epoch=1, credits=50)
    assert link.credits == 0, "of another life"
    writer.update(credit_epoch=2, credits=7)
    assert link.credits == 7
    writer.say(LinkStatus.REFUSED, "another specification")
    assert link.refusal() == "another specification"
    link.close()
