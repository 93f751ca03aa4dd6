"""Amendments over real sockets: by role, once, durable, behind what they speak of."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from keyed_wire import Hosts, raw_keyed, raw_messages, recording, serve

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import read_amendments
from robot_rl.errors import DataError, HandshakeError, WireError
from robot_rl.testing.wire_harness import WireHarness, wait_for, write_episode
from robot_rl.wire import protocol as p
from robot_rl.wire.amendment import Amendment, encode, with_token
from robot_rl.wire.key_files import Role
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.outbox import MAX_ENTRIES, Outbox

DISCARD = Amendment("discard", "a", 1, 0, reason="it fell")
SUCCESS = Amendment("relabel", "a", 1, 0, success=1, reward=1.0, terminated=True)


def tokens(wire: WireHarness) -> list[int]:
    return [amendment.token for amendment in read_amendments(wire.log_dir)]


def test_an_operator_amends_and_a_viewer_may_not(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    viewer = hosts.client("wall", Role.VIEWER).client(Role.VIEWER)
    serve(wire, hosts.learner)
    recording(wire, robot)
    address = wire.addresses[0]
    with OperatorLink(address, keys=viewer) as wall:
        with pytest.raises(HandshakeError, match=r"role 'viewer' \(key 'wall'\).*not send Amend"):
            wall.amend(DISCARD)
        assert tokens(wire) == []
    with OperatorLink(address, keys=operator) as desk:
        done = desk.amend(SUCCESS)
        assert tokens(wire) == [done.token], "in the log when it returns"
        (found,) = read_amendments(wire.log_dir)
        assert replace(found, position=0) == done
        assert found.position == 21
        assert desk.amend(done) == done, "the same again is answered"
        assert tokens(wire) == [done.token], "and taken once"
    (episode,) = read_episodes(wire.log_dir)
    assert episode.success == 1


def test_the_learners_private_address_takes_them_too(wire: WireHarness) -> None:
    serve(wire, None)
    wire.start_io("a")
    write_episode(wire.link("a", 1), wire.spec, np.random.default_rng(0), 20)
    wire.wait_logged("a", 1, 21)
    with OperatorLink(wire.addresses[1]) as console:
        done = console.amend(DISCARD)
        assert tokens(wire) == [done.token]
    assert list(read_episodes(wire.log_dir)) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (replace(DISCARD, actor="b"), "the log has no epoch 1 of it; valid: a, epoch 1"),
        (replace(DISCARD, epoch=2), "the log has no epoch 2 of it"),
        (replace(DISCARD, episode=1), "the log has episodes below 1 of this life"),
        (replace(SUCCESS, success=None, reward=None, terminated=None), "changes nothing"),
        (replace(SUCCESS, success=7), "success 7; valid: -1, 0, 1"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    tmp_path: Path, hosts: Hosts, wrong: Amendment, why: str
) -> None:
    with WireHarness(tmp_path) as wire:
        robot = hosts.client("arm", Role.ACTOR)
        operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
        serve(wire, hosts.learner)
        recording(wire, robot)
        with OperatorLink(wire.addresses[0], keys=operator) as desk:
            with pytest.raises(DataError, match=why):
                desk.amend(wrong)
            assert desk.stats().garbage == 0
        assert tokens(wire) == []


def test_they_survive_a_kill_of_ingest(wire: WireHarness, hosts: Hosts) -> None:
    """Sent before it, during it and after it: each is in the log once."""
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    ingest = serve(wire, hosts.learner)
    recording(wire, robot)
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        first, second = desk.amend(SUCCESS), with_token(DISCARD)
        ingest.send_signal(signal.SIGKILL)
        ingest.wait()
        with pytest.raises(WireError, match=r"waited 0\.3 s"):
            desk.amend(second, timeout_s=0.3)
        serve(wire, hosts.learner)
        assert desk.amend(second, timeout_s=20) == second
        assert desk.amend(first) == first
    assert tokens(wire) == [first.token, second.token]


def test_an_actor_amends_its_own_episodes(wire: WireHarness, hosts: Hosts) -> None:
    """Left in shared memory by the control loop; kept by the I/O process while ingest is away."""
    robot = hosts.client("arm", Role.ACTOR)
    ingest = serve(wire, hosts.learner)
    link = recording(wire, robot)
    wire.end(ingest)
    write_episode(link, wire.spec, np.random.default_rng(1), 300)
    done = [link.amend(DISCARD), link.amend(SUCCESS)]
    kept = wire.folder / "spool" / "a"
    wait_for("the outbox", lambda: len(list(kept.glob("*.amend"))) == 2)
    wait_for("an empty runtime directory", lambda: not list(wire.runtime.glob("*.amend")))
    wire.processes[1].kill()
    wire.processes[1].wait()
    serve(wire, hosts.learner)
    wire.start_io("a", keys=str(robot.path))
    wait_for("the amendments", lambda: len(tokens(wire)) == 2)
    assert set(tokens(wire)) == {amendment.token for amendment in done}
    assert [found.position for found in read_amendments(wire.log_dir)] == [322, 322], "behind all"
    wait_for("the answers", lambda: not list(kept.glob("*.amend")))


def test_what_an_actor_may_not_amend(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    serve(wire, hosts.learner)
    link = recording(wire, robot)
    with pytest.raises(DataError, match="actor 'a' cannot amend an episode of 'b'"):
        link.amend(replace(DISCARD, actor="b"))
    with pytest.raises(DataError, match="changes nothing"):
        link.amend(Amendment("trim", "a", 1, 0))
    link.amend(replace(DISCARD, episode=7))
    wait_for("the refusal", lambda: "has episodes below 1 of this life" in wire.output("io-a"))
    write_episode(link, wire.spec, np.random.default_rng(1), 20)
    assert len(wire.wait_logged("a", 1, 42)) == 42, "its records go on"
    assert tokens(wire) == []


def anothers(wire: WireHarness, hosts: Hosts) -> p.Message:
    """What a key of role actor hears that amends an episode of actor b in its own session as a."""
    robot = hosts.client("arm", Role.ACTOR)
    other = hosts.client("leg", Role.ACTOR)
    import zmq

    serve(wire, hosts.learner)
    recording(wire, other, "b")
    hello, _ = raw_messages(wire)
    with zmq.Context() as context:
        peer = raw_keyed(context, wire.addresses[0], robot.client(Role.ACTOR))
        peer.send_multipart(hello)
        assert isinstance(p.decode(peer.recv_multipart()[0]), p.Welcome)
        body = encode(with_token(replace(DISCARD, actor="b")))
        peer.send_multipart([p.encode(p.Amend()), b"", body])
        answers = [p.decode(peer.recv_multipart()[0])]
        while isinstance(answers[-1], p.News):
            answers.append(p.decode(peer.recv_multipart()[0]))
        peer.close(0)
    return answers[-1]


def test_an_actor_cannot_amend_anothers(tmp_path: Path, hosts: Hosts) -> None:
    with WireHarness(tmp_path) as wire:
        answer = anothers(wire, hosts)
        assert isinstance(answer, p.Amended)
        assert "actor 'a' may amend its own episodes only" in answer.refusal
        assert tokens(wire) == []


def test_a_damaged_amendment_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "a.0000000000000001.amend").write_bytes(b"not one")
    found = Outbox(tmp_path / "spool", tmp_path, "a")
    found.collect(1.0)
    assert found.entries == {}
    assert (tmp_path / "a.0000000000000001.damaged").exists()


def test_no_endless_heap_of_amendments(wire: WireHarness) -> None:
    link = wire.link("a", 1)
    for _ in range(MAX_ENTRIES):
        link.amend(DISCARD)
    with pytest.raises(WireError, match="the I/O process does not run"):
        link.amend(DISCARD)
