"""Each role sends what it may and nothing else; an operator commands, a viewer looks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import zmq
from keyed_wire import Hosts, raw_keyed, raw_messages, recording, serve

from robot_rl.errors import HandshakeError
from robot_rl.ingest.permissions import PERMITS
from robot_rl.testing.wire_harness import WireHarness, wait_for
from robot_rl.wire import protocol as p
from robot_rl.wire.amendment import Amendment, encode, with_token
from robot_rl.wire.key_files import Role
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.sockets import Dealer


def exchange(peer: Dealer, message: list[bytes]) -> p.Message:
    """Sends, and waits for the first answer."""
    peer.send(*message)
    answers: list[p.Message] = []

    def answered() -> bool:
        if (found := peer.receive()) is not None:
            answers.append(p.decode(found.head))
        return bool(answers)

    wait_for("an answer", answered)
    return answers[0]


DISCARD = Amendment("discard", "a", 1, 0)
SENT = {
    "Hello": lambda wire: raw_messages(wire)[0],
    "Data": lambda wire: raw_messages(wire)[1],
    "Beat": lambda wire: [p.encode(p.Beat("a", 1, 0, 0, 0, 0, 0, False, False))],
    "Amend": lambda wire: [p.encode(p.Amend()), b"", encode(with_token(DISCARD))],
    "Get": lambda wire: [p.encode(p.Get(0, -1))],
    "SetControl": lambda wire: [p.encode(p.SetControl(p.ControlKind.STOP))],
    "Ask": lambda wire: [p.encode(p.Ask())],
    "Pulse": lambda wire: [p.encode(p.Pulse(999, 0))],
    "Grant": lambda wire: [p.encode(p.Grant(1 << 40))],
    "Part": lambda wire: [p.encode(p.Part(1, 0, 4, 0, p.Table(["w"], [[1]]))), b"", bytes(4)],
    "News": lambda wire: [p.encode(p.News("a", 1, 0, 9, 9, 9, p.Control(), 0))],
}


@pytest.mark.parametrize("role", [Role.ACTOR, Role.OPERATOR, Role.VIEWER])
def test_each_role_sends_what_it_may_and_nothing_else(
    role: Role, tmp_path: Path, hosts: Hosts
) -> None:
    valid = {kind.__name__ for kind in PERMITS[role]}
    assert valid <= set(SENT)
    with WireHarness(tmp_path, granted=5) as wire:
        keys = hosts.client("one", role).client(role)
        serve(wire, hosts.learner)
        peer = Dealer(wire.addresses[0], keys=keys)
        refused = 0
        for name in sorted(set(SENT) - valid):
            answer = exchange(peer, SENT[name](wire))
            assert isinstance(answer, p.Refusal), name
            assert not answer.retry
            assert f"role '{role}' (key 'one') may not send {name}" in answer.reason
            assert f"valid: {', '.join(kind.__name__ for kind in PERMITS[role])}" in answer.reason
            refused += 1
        stats = wire.learner().wait_connected(60)
        assert stats.refused == refused
        assert (stats.records, stats.granted, stats.weights_version, stats.actors) == (0, 5, 0, [])
        assert stats.control.number == 0
        for name in sorted(valid - {"SetControl", "Get", "Amend"}, key=list(SENT).index):
            if name == "Data":
                peer.send(*SENT[name](wire))
                assert len(wire.wait_logged("a", 1, 1)) == 1
            else:
                answer = exchange(peer, SENT[name](wire))
                assert not isinstance(answer, p.Refusal), name
        assert wire.learner().wait_connected(60).updates == 0, "nobody beats for the learner here"
        peer.close()


def test_an_operator_commands_and_a_viewer_looks(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    viewer = hosts.client("wall", Role.VIEWER).client(Role.VIEWER)
    serve(wire, hosts.learner)
    link = recording(wire, robot)
    address = wire.addresses[0]
    with OperatorLink(address, keys=operator) as desk, OperatorLink(address, keys=viewer) as wall:
        assert wall.stats().steps == 20
        assert desk.set_control(p.ControlKind.PAUSE).control == p.Control(1, p.ControlKind.PAUSE)
        wait_for("the command", lambda: link.control().kind is p.ControlKind.PAUSE)
        with pytest.raises(HandshakeError, match=r"role 'viewer' \(key 'wall'\).*valid: Ask"):
            wall.set_control(p.ControlKind.RUN)
        assert wall.stats().control.kind is p.ControlKind.PAUSE
        hosts.learner.revoke("desk")
        wait_for("the list", lambda: revoked(desk))
        assert wall.stats().steps == 20


def revoked(link: OperatorLink) -> bool:
    try:
        link.stats()
    except HandshakeError as error:
        return "key 'desk' is revoked" in str(error)
    return False


@pytest.mark.parametrize("listed", [True, False])
def test_an_operator_that_may_not_connect_is_told(
    wire: WireHarness, hosts: Hosts, listed: bool
) -> None:
    keys = hosts.client("desk", Role.OPERATOR, listed=listed).client(Role.OPERATOR)
    serve(wire, hosts.learner if not listed else None)
    why = "uses no keys" if listed else "refused key 'desk'"
    with (
        OperatorLink(wire.addresses[0], keys=keys) as link,
        pytest.raises(HandshakeError, match=why),
    ):
        link.stats()


def test_without_keys_nobody_commands_at_the_actors_address(wire: WireHarness) -> None:
    """But at a private ipc path, where only this user is."""
    serve(wire, None)
    if wire.addresses[0].startswith("ipc"):
        with OperatorLink(wire.addresses[0]) as link:
            assert link.set_control(p.ControlKind.PAUSE).control.number == 1
        return
    with (
        OperatorLink(wire.addresses[0]) as link,
        pytest.raises(HandshakeError, match=r"an address without keys.*may not send SetControl"),
    ):
        link.set_control(p.ControlKind.STOP)
    assert wire.learner().wait_connected(60).control.number == 0


def test_a_routing_id_left_by_an_actor_gives_its_finder_nothing(
    tmp_path: Path, hosts: Hosts
) -> None:
    """A viewer chooses the routing id of an actor that has gone, and goes on in its session."""
    actor = hosts.client("arm", Role.ACTOR).client(Role.ACTOR)
    viewer = hosts.client("wall", Role.VIEWER).client(Role.VIEWER)
    with WireHarness(tmp_path) as wire, zmq.Context() as context:
        serve(wire, hosts.learner)
        hello, data = raw_messages(wire)
        first = raw_keyed(context, wire.addresses[0], actor)
        first.send_multipart(hello)
        assert isinstance(p.decode(first.recv_multipart()[0]), p.Welcome)
        first.close(0)
        time.sleep(0.3)
        second = raw_keyed(context, wire.addresses[0], viewer)
        second.send_multipart(data)
        answer = p.decode(second.recv_multipart()[0])
        assert isinstance(answer, p.Refusal)
        assert "role 'viewer'" in answer.reason
        second.close(0)
        assert wire.learner().wait_connected(60).records == 0
