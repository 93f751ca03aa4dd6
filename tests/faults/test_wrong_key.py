"""Keys that must not: unknown, revoked, of another role; each with its planted-bug twin."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fault_recorder import Broken
from fault_world import ACTOR, World, wait_for

from robot_rl.errors import HandshakeError, WireError
from robot_rl.testing.wire_harness import write_episode
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.operator_link import OperatorLink
from robot_rl.wire.protocol import ControlKind


class Keys:
    """The learner's folder, and those of a listed robot, a stranger and a viewer."""

    def __init__(self, root: Path) -> None:
        self.learner = KeyFolder(root / "keys-learner")
        self.learner.make("learner", Role.SERVER)
        self.robot = self._client(root, "robot", Role.ACTOR, listed=True)
        self.stranger = self._client(root, "stranger", Role.ACTOR, listed=False)
        self.viewer = self._client(root, "viewer", Role.VIEWER, listed=True)

    def _client(self, root: Path, name: str, role: Role, *, listed: bool) -> KeyFolder:
        folder = KeyFolder(root / f"keys-{name}")
        folder.make(name, role)
        (folder.path / "learner.key").write_bytes((self.learner.path / "learner.key").read_bytes())
        if listed:
            text = (folder.path / f"{name}.key").read_bytes()
            (self.learner.path / f"{name}.key").write_bytes(text)
        return folder

    def settings(self, io: KeyFolder) -> dict[str, dict[str, object]]:
        return {"ingest": {"keys": str(self.learner.path)}, "io": {"keys": str(io.path)}}


def records(world: World) -> int:
    return world.learner().wait_connected(20).records


def unknown_key(world: World) -> None:
    """A robot whose key nobody listed: nothing of it arrives, and it is told."""
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    link = world.link(ACTOR, 1)
    write_episode(link, world.spec, np.random.default_rng(0), 30)
    world.start_side("io")
    ended = world.sides["io"]
    wait_for("an end or an arrival", lambda: ended.poll() is not None or records(world) > 0)
    if records(world) or ended.poll() != 2:
        raise Broken(f"{records(world)} records of a stranger are in the log")
    if "refused key 'stranger'" not in world.output(f"io-{ACTOR}"):
        raise Broken("the stranger was not told")


def revoked_key(world: World, keys: Keys) -> None:
    """Revoked while its session runs: nothing more of it arrives."""
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    world.start_side("io")
    link = world.link(ACTOR, 1)
    rng = np.random.default_rng(0)
    write_episode(link, world.spec, rng, 30)
    world.wait_logged(ACTOR, 1, 31)
    keys.learner.revoke("robot")
    try:
        wait_for("the end", lambda: world.sides["io"].poll() is not None, world.patience_s)
    except WireError:
        raise Broken("a revoked key's session goes on") from None
    write_episode(link, world.spec, rng, 30)
    if records(world) != 31 or "is revoked" not in world.output("ingest"):
        raise Broken(f"{records(world)} records, 31 before the key was revoked")


def viewer_commands(world: World, keys: Keys) -> None:
    """A viewer would like to stop every robot."""
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    viewer = keys.viewer.client(Role.VIEWER)
    with OperatorLink(world.addresses[0], keys=viewer) as link, suppress(HandshakeError):
        link.set_control(ControlKind.STOP)
    if world.learner().wait_connected(20).control.number:
        raise Broken("a viewer's command was obeyed")


def test_unknown_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with World(tmp_path, settings=keys.settings(keys.stranger)) as world:
        unknown_key(world)


def test_unknown_key_twin(tmp_path: Path) -> None:
    settings = (keys := Keys(tmp_path)).settings(keys.stranger)
    with (
        World(tmp_path, settings=settings, without=("allow_list",)) as world,
        pytest.raises(Broken, match="records of a stranger"),
    ):
        unknown_key(world)


def test_revoked_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with World(tmp_path, settings=keys.settings(keys.robot)) as world:
        revoked_key(world, keys)


def test_revoked_key_twin(tmp_path: Path) -> None:
    settings = (keys := Keys(tmp_path)).settings(keys.robot)
    with (
        World(tmp_path, settings=settings, without=("allow_list_is_read_again",)) as world,
        pytest.raises(Broken, match="goes on"),
    ):
        revoked_key(world, keys)


def test_viewer_commands(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with World(tmp_path, settings=keys.settings(keys.robot)) as world:
        viewer_commands(world, keys)


def test_viewer_commands_twin(tmp_path: Path) -> None:
    settings = (keys := Keys(tmp_path)).settings(keys.robot)
    with (
        World(tmp_path, settings=settings, without=("roles",)) as world,
        pytest.raises(Broken, match="obeyed"),
    ):
        viewer_commands(world, keys)
