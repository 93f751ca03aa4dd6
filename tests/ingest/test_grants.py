"""Credit beyond the warm-up and "a version is published" reach the actor together, or in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robot_rl.ingest.learner_endpoint import LearnerEndpoint
from robot_rl.ingest.warnings import Warnings
from robot_rl.testing.wire_harness import WireHarness, wait_for, write_episode
from robot_rl.wire import protocol as p
from robot_rl.wire.mailbox import MailboxReader, MailboxWriter
from robot_rl.wire.sockets import Received
from robot_rl.wire.weights import FlatWeights

WARMUP, MORE = 5, 40


class Nobody:
    """A router whose answers nobody hears."""

    def send(self, *_: object) -> bool:
        return True


def endpoint() -> LearnerEndpoint:
    def stats() -> p.Stats:
        raise AssertionError

    return LearnerEndpoint(
        Nobody(),  # type: ignore[arg-type]
        Warnings(),
        0,
        stats,
        set,
        lambda *_: None,
    )


def say(found: LearnerEndpoint, message: p.Message, body: bytes | memoryview = b"") -> None:
    found.take(Received(b"l", p.encode(message), b"", body))


@pytest.mark.parametrize("damaged", [False, True])
def test_a_grant_waits_for_the_version_it_names(damaged: bool) -> None:
    """Lost or damaged on its way: the credit is held until the weights are repaired."""
    found = endpoint()
    say(found, p.Grant(WARMUP))
    assert found.granted == WARMUP, "the warm-up waits for nothing"
    part, body = FlatWeights.pack({"w": np.ones(9)}, 1).part(0, 1 << 20)
    if damaged:
        say(found, part, bytes(len(body)))
    say(found, p.Grant(MORE, 1))
    assert (found.granted, found.store.version) == (WARMUP, 0)
    say(found, part, body)
    assert (found.granted, found.store.version) == (MORE, 1)
    say(found, p.Grant(MORE + 1, 3))
    assert found.granted == MORE, "a round's credit names its own version"
    say(found, FlatWeights.pack({"w": np.ones(9)}, 4).part(0, 1 << 20)[0], body)
    assert found.granted == MORE + 1, "a newer one does"


def test_the_mailbox_shows_both_at_once(tmp_path: Path) -> None:
    writer, reader = MailboxWriter(tmp_path, "a"), MailboxReader(tmp_path, "a", 1)
    seen = []
    for count in range(1, 4):
        writer.update(published_version=count, credit_epoch=1, credits=count * 10)
        state = reader.state()
        seen.append((state.published_version, state.credits))
    assert seen == [(1, 10), (2, 20), (3, 30)]


def test_an_actor_never_has_credit_beyond_the_warmup_without_a_version(tmp_path: Path) -> None:
    """Over real sockets, through a learner's restart-like repair: weights come late."""
    with WireHarness(tmp_path, granted=0) as wire:
        wire.start_ingest()
        wire.start_io("a")
        link, learner = wire.link("a", 1), wire.learner()
        learner.grant(WARMUP)
        wait_for("the warm-up", lambda: link.credits == WARMUP)
        assert link.published_version == 0
        write_episode(link, wire.spec, np.random.default_rng(0), WARMUP)
        learner.grant(MORE, version=1)
        stats = learner.wait_connected(20)
        wait_for("newer statistics", lambda: learner.stats() is not stats)
        assert link.credits == WARMUP
        learner.publish({"w": np.ones(9, "f4")}, 1)
        wait_for("credit", lambda: link.credits == MORE)
        assert link.published_version == 1
        wait_for("the weights", lambda: link.newest() is not None)
        learner.grant(MORE + 1)
        wait_for("more credit", lambda: link.credits == MORE + 1)
