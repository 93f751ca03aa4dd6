"""A person's pause is nobody else's: it outlives ingest, and an actor's word pauses no other."""

from __future__ import annotations

import signal

import pytest
from keyed_wire import Hosts, recording, serve

from robot_rl.testing.wire_harness import WireHarness, wait_for
from robot_rl.wire.key_files import Role
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.protocol import ControlKind, Stats


def test_a_pause_outlives_ingest_also_for_actors_that_come_later(
    wire: WireHarness, hosts: Hosts
) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    ingest = serve(wire, hosts.learner)
    recording(wire, robot)
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        desk.set_control(ControlKind.PAUSE)
    ingest.send_signal(signal.SIGKILL)
    ingest.wait()
    ingest = serve(wire, hosts.learner)
    wire.start_io("b", keys=str(robot.path))
    later = wire.link("b", 1)
    wait_for("the pause", lambda: later.control().kind is ControlKind.PAUSE)
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        desk.set_control(ControlKind.RUN)
        wait_for("the command", lambda: later.control().kind is ControlKind.RUN)
    assert not (wire.log_dir / "command.json").exists()
    wire.end(ingest)
    serve(wire, hosts.learner)
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        assert desk.stats().control.kind is ControlKind.RUN


def test_a_paused_actor_that_comes_to_another_ingest_waits_alone(
    wire: WireHarness, hosts: Hosts
) -> None:
    """The log with the pause is gone: the actor keeps it for itself, and consoles see that."""
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    ingest = serve(wire, hosts.learner)
    links = {name: recording(wire, robot, name) for name in ("a", "b")}
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        desk.set_control(ControlKind.PAUSE)
        wait_for("the pause", lambda: links["a"].control().kind is ControlKind.PAUSE)
        wire.end(ingest)
    (wire.log_dir / "command.json").unlink()
    serve(wire, hosts.learner)
    with OperatorLink(wire.addresses[0], keys=operator) as desk:

        def paused() -> dict[str, bool]:
            stats: Stats = desk.stats()
            assert stats.control.number == 0
            return {actor.actor: actor.paused for actor in stats.actors if actor.connected}

        wait_for("both", lambda: paused() == {"a": True, "b": True})
        wire.start_io("c", keys=str(robot.path))
        later = wire.link("c", 1)
        wait_for("another", lambda: paused().get("c") is False)
        assert later.control().kind is ControlKind.RUN
        assert links["a"].control().kind is ControlKind.PAUSE
        desk.set_control(ControlKind.RUN)
        wait_for("the command", lambda: not any(paused_of(desk.stats())))


def paused_of(stats: Stats) -> list[bool]:
    return [actor.paused for actor in stats.actors]


@pytest.mark.parametrize("content", ['{"command": "run"}', "[", "\xff", "x" * 5000, "[" * 4000])
def test_a_damaged_pause_is_named(wire: WireHarness, hosts: Hosts, content: str) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    ingest = serve(wire, hosts.learner)
    recording(wire, robot)
    wire.end(ingest)
    (wire.log_dir / "command.json").write_bytes(content.encode("latin-1"))
    process = wire.start_ingest(wait=False, keys=str(hosts.learner.path))
    assert process.wait(60) == 2
    assert "command.json" in wire.output("ingest")
    assert 'valid: {"command":"pause"}' in wire.output("ingest")


def test_a_disk_that_cannot_note_a_pause_does_not_stop_it(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    serve(wire, hosts.learner)
    link = recording(wire, robot)
    (wire.log_dir / "command.json.draft").mkdir()
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        desk.set_control(ControlKind.PAUSE)
    wait_for("the command", lambda: link.control().kind is ControlKind.PAUSE)
    assert "the command holds, but not beyond a restart" in wire.output("ingest")
