"""Guards of what is counted, amended and granted; each with its planted-bug twin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fault_guards import without
from fault_recorder import Broken
from fault_world import ACTOR, World, wait_for
from test_wrong_key import Keys

from robot_rl.data.log_reader import read_amendments
from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import HandshakeError
from robot_rl.ingest.amendments import Amendments
from robot_rl.ingest.learner_endpoint import LearnerEndpoint
from robot_rl.ingest.log_committer import LifeBook, LogCommitter
from robot_rl.ingest.warnings import Warnings
from robot_rl.testing.wire_harness import small_spec, write_episode
from robot_rl.types import Purpose
from robot_rl.wire import protocol as p
from robot_rl.wire.amendment import Amendment, encode, with_token
from robot_rl.wire.chunk import ChunkKind, make_header, pack_header
from robot_rl.wire.key_files import Role
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.record import Kind, record_dtype
from robot_rl.wire.sockets import Received
from robot_rl.wire.weights import FlatWeights

SPEC = small_spec(state=3, action=2)


def committed(folder: Path, purpose: Purpose) -> tuple[LogCommitter, LifeBook]:
    """A log with a START and 9 STEPs of one episode."""
    rows = np.zeros(10, record_dtype(SPEC))
    rows["kind"][1:], rows["sequence"], rows["purpose"] = Kind.STEP, np.arange(10), purpose
    payload = rows.tobytes()
    size = rows.dtype.itemsize
    header = make_header(
        ChunkKind.RECORDS, payload, actor="a", epoch=1, first_sequence=0, count=10,
        record_bytes=size,
    )  # fmt: skip
    log = LogWriter.create(folder / "log", SPEC)
    committer, book = LogCommitter(log, rows.dtype, 0.0), LifeBook("a", 1)
    committer.take(book, pack_header(header), payload)
    committer.commit(book)
    return committer, book


def evaluation_uses_no_credit(folder: Path) -> None:
    committer, book = committed(folder, Purpose.EVALUATION)
    if committer.steps or book.account.steps:
        raise Broken(f"{book.account.steps} steps of evaluation were counted")


def an_amendment_is_taken_once(folder: Path) -> None:
    """Sent three times, as it is where answers are lost."""
    committer, book = committed(folder, Purpose.TRAINING)
    amendments = Amendments(committer, {("a", 1): book})
    body = encode(with_token(Amendment("discard", "a", 1, 0)))
    answers: list[p.Amended] = []
    for _ in range(3):
        amendments.take(body, answers.append)
        amendments.announce()
    if (count := len(read_amendments(folder / "log"))) != 1:
        raise Broken(f"the amendment is in the log {count} times")
    assert len(answers) == 3


def own_episodes_only(folder: Path) -> None:
    committer, book = committed(folder, Purpose.TRAINING)
    amendments = Amendments(committer, {("a", 1): book})
    answers: list[p.Amended] = []
    body = encode(with_token(Amendment("discard", "a", 1, 0)))
    amendments.take(body, answers.append, only="b")
    if read_amendments(folder / "log"):
        raise Broken("an actor amended another's episode")
    assert "its own episodes only" in answers[0].refusal


class _Nobody:
    """A router whose answers nobody hears."""

    def send(self, *_: object) -> bool:
        return True


def credit_waits_for_its_weights(_: Path) -> None:
    """The part with version 1 was damaged on its way; the grant that follows was not."""

    def stats() -> p.Stats:
        raise AssertionError

    nobody, warnings = _Nobody(), Warnings()
    found = LearnerEndpoint(nobody, warnings, 5, stats, set, lambda *_: None)  # type: ignore[arg-type]
    part, body = FlatWeights.pack({"w": np.ones(9)}, 1).part(0, 1 << 20)
    found.take(Received(b"l", p.encode(part), b"", bytes(len(body))))
    found.take(Received(b"l", p.encode(p.Grant(40, 1)), b"", b""))
    if found.granted != 5:
        raise Broken("credit beyond the warm-up, and no version to act with")


PAIRS: list[tuple[Callable[[Path], None], str]] = [
    (evaluation_uses_no_credit, "evaluation_is_not_counted"),
    (an_amendment_is_taken_once, "amendments_are_taken_once"),
    (own_episodes_only, "own_episodes_only"),
    (credit_waits_for_its_weights, "credit_waits_for_its_weights"),
]


@pytest.mark.parametrize(("check", "guard"), PAIRS)
def test_it_holds_and_not_without_its_guard(
    check: Callable[[Path], None], guard: str, tmp_path: Path
) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    check(tmp_path / "with")
    with without(guard), pytest.raises(Broken):
        check(tmp_path / "without")


def viewer_amends(world: World, keys: Keys) -> None:
    """A viewer would like to discard an episode."""
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    world.start_side("io")
    write_episode(world.link(ACTOR, 1), world.spec, np.random.default_rng(0), 30)
    world.wait_logged(ACTOR, 1, 31)
    viewer = keys.viewer.client(Role.VIEWER)
    with OperatorLink(world.addresses[0], keys=viewer) as link, suppress(HandshakeError):
        link.amend(Amendment("discard", ACTOR, 1, 0))
    if read_amendments(world.log_dir):
        raise Broken("a viewer's amendment is in the log")


@pytest.mark.parametrize("without_guard", [(), ("roles",)])
def test_viewer_amends(tmp_path: Path, without_guard: tuple[str, ...]) -> None:
    keys = Keys(tmp_path)
    with World(tmp_path, settings=keys.settings(keys.robot), without=without_guard) as world:
        if without_guard:
            with pytest.raises(Broken, match="viewer's amendment"):
                viewer_amends(world, keys)
        else:
            viewer_amends(world, keys)
