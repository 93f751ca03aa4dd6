"""Commands name their addressee: one actor or everyone, also beyond a restart of ingest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from keyed_wire import Hosts, recording, serve

from robot_rl.cli import main
from robot_rl.errors import HandshakeError
from robot_rl.ingest.controls import Controls
from robot_rl.ingest.kept_pause import KeptPause
from robot_rl.testing.wire_harness import WireHarness, wait_for
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.key_files import Role
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.protocol import Control, ControlKind, SetControl

RUN, PAUSE, STOP = ControlKind.RUN, ControlKind.PAUSE, ControlKind.STOP


def kinds(links: dict[str, ActorLink]) -> list[ControlKind]:
    return [links[name].control().kind for name in sorted(links)]


def test_one_actor_is_paused_and_the_other_goes_on(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    operator = hosts.client("desk", Role.OPERATOR).client(Role.OPERATOR)
    viewer = hosts.client("wall", Role.VIEWER).client(Role.VIEWER)
    ingest = serve(wire, hosts.learner)
    links = {name: recording(wire, robot, name) for name in ("a", "b")}
    with OperatorLink(wire.addresses[0], keys=viewer) as wall, pytest.raises(HandshakeError):
        wall.set_control(PAUSE, "a")
    with OperatorLink(wire.addresses[0], keys=operator) as desk:
        with pytest.raises(HandshakeError, match="actor 'c' is not known here; valid: a, b"):
            desk.set_control(PAUSE, "c")
        stats = desk.set_control(PAUSE, "a")
        assert stats.control == Control()
        assert stats.controls == {"a": Control(1, PAUSE)}
        wait_for("the pause of one", lambda: kinds(links) == [PAUSE, RUN])
        wait_for("its echo", lambda: [s.paused for s in desk.stats().actors] == [True, False])
        wire.end(ingest)
        ingest = serve(wire, hosts.learner)
        wait_for("the pause", lambda: desk.stats().control_of("a").kind is PAUSE)
        assert desk.stats().control_of("b").kind is RUN
        assert desk.set_control(PAUSE).controls == {}, "one to everyone ends those to single actors"
        wait_for("the pause of both", lambda: kinds(links) == [PAUSE, PAUSE])
        desk.set_control(RUN, "b")
        wait_for("one goes on", lambda: kinds(links) == [PAUSE, RUN])
        wire.end(ingest)
        serve(wire, hosts.learner)
        wait_for("the same", lambda: desk.stats().control.kind is PAUSE)
        assert desk.stats().control_of("b").kind is RUN
        desk.set_control(RUN)
        wait_for("both go on", lambda: kinds(links) == [RUN, RUN])
    assert not (wire.log_dir / "command.json").exists()


def test_watch_names_the_addressee(
    wire: WireHarness, hosts: Hosts, capsys: pytest.CaptureFixture[str]
) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    desk = hosts.client("desk", Role.OPERATOR)
    serve(wire, hosts.learner)
    links = {name: recording(wire, robot, name) for name in ("a", "b")}
    words = ["watch", wire.addresses[0], "--keys", str(desk.path)]
    assert main([*words, "--stop", "--actor", "b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["controls"] == {"b": "stop"}
    wait_for("the stop of one", lambda: kinds(links) == [RUN, STOP])
    assert main([*words, "--actor", "b"]) == 2
    assert "to do what? valid: --pause, --run, --stop" in capsys.readouterr().err


def commanded(*commands: tuple[ControlKind, str]) -> Controls:
    controls = Controls()
    for kind, actor in commands:
        controls.set(SetControl(kind, actor))
    return controls


@pytest.mark.parametrize(
    ("controls", "text"),
    [
        (commanded((PAUSE, "")), '{"command":"pause"}'),
        (commanded((PAUSE, "a")), '{"command":"run","actors":{"a":"pause"}}'),
        (
            commanded((PAUSE, ""), (RUN, "a"), (STOP, "b")),
            '{"command":"pause","actors":{"a":"run"}}',
        ),
        (commanded((PAUSE, "a"), (RUN, "a")), None),
        (commanded((PAUSE, "a"), (STOP, "a")), None),
        (commanded((PAUSE, "a"), (RUN, "")), None),
        (commanded((STOP, "")), None),
    ],
)
def test_what_is_kept(tmp_path: Path, controls: Controls, text: str | None) -> None:
    KeptPause(tmp_path).keep(controls)
    file = tmp_path / "command.json"
    assert (file.read_text().strip() if file.exists() else None) == text
    again = KeptPause(tmp_path).controls()
    for actor in ("a", "b", "c"):
        kind = controls.of(actor).kind
        stopped = kind is STOP
        assert again.of(actor).kind is (
            controls.everyone.kind if stopped and text else RUN if stopped else kind
        )
