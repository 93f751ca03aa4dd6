"""A listed key is enough, and a key is no longer than it is listed; secrets stay where they are."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from keyed_wire import Hosts, carry, named, recording, serve

from robot_rl.testing.check_wire import Recorder, require_equal
from robot_rl.testing.wire_harness import WireHarness, wait_for, write_episode
from robot_rl.wire.key_files import Role
from robot_rl.wire.mailbox import LinkStatus
from robot_rl.wire.record import record_dtype


def test_with_keys_records_weights_and_credits_flow(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    serve(wire, hosts.learner)
    wire.start_io("a", keys=str(robot.path))
    link = wire.link("a", 1)
    recorder = Recorder(link)
    learner = wire.learner()
    learner.publish({"w": np.ones(5, "f4")}, 1)
    write_episode(link, wire.spec, np.random.default_rng(0), 200)
    logged = wire.wait_logged("a", 1, 201)
    require_equal(logged, recorder.array(record_dtype(wire.spec)), "with keys")
    wait_for("weights", lambda: link.newest() is not None)
    stats = learner.wait_connected(60)
    assert (stats.denied, stats.refused, stats.garbage) == (0, 0, 0)


def test_revoking_ends_a_running_session_and_only_that(wire: WireHarness, hosts: Hosts) -> None:
    robots = {name: hosts.client(name, Role.ACTOR) for name in ("a", "b")}
    serve(wire, hosts.learner)
    processes = {n: wire.start_io(n, keys=str(f.path)) for n, f in robots.items()}
    links = {name: wire.link(name, 1) for name in robots}
    rng = np.random.default_rng(0)
    for name, link in links.items():
        write_episode(link, wire.spec, rng, 20)
        wire.wait_logged(name, 1, 21)
    hosts.learner.revoke("a")
    wait_for("the session to end", lambda: links["a"].status is LinkStatus.REFUSED)
    assert "key 'a' is revoked since" in links["a"].refusal()
    named(wire, "ingest", "session of actor 'a' ended: key 'a' is revoked")
    assert processes["a"].wait(60) == 2
    for link in links.values():
        write_episode(link, wire.spec, rng, 20)
    assert len(wire.wait_logged("b", 1, 42)) == 42
    again = wire.start_io("a", keys=str(robots["a"].path))
    assert again.wait(60) == 2, "refused from then on"
    assert len(wire.logged("a", 1)) == 21
    connected = {a.actor: a.connected for a in wire.learner().wait_connected(60).actors}
    assert connected == {"a": False, "b": True}


def test_an_id_belongs_to_the_key_that_used_it_until_that_is_revoked(
    wire: WireHarness, hosts: Hosts
) -> None:
    """Also while its owner is away, and after a restart of ingest; one key may have several ids."""
    owner, thief = (hosts.client(name, Role.ACTOR) for name in ("owner", "thief"))
    ingest = serve(wire, hosts.learner)
    for name in ("a", "b"):
        process, link = wire.start_io(name, keys=str(owner.path)), wire.link(name, 1)
        write_episode(link, wire.spec, np.random.default_rng(0), 20)
        wire.wait_logged(name, 1, 21)
        link.close()
        wire.end(process)
    wire.end(ingest)
    serve(wire, hosts.learner)
    link = wire.link("a", 2)
    spool = {"keys": str(thief.path)}
    process = wire.start_io("a", **spool)
    write_episode(link, wire.spec, np.random.default_rng(1), 5)
    assert process.wait(60) == 2
    wanted = "actor id 'a' belongs to key 'owner', this is key 'thief'"
    assert wanted in wire.output("io-a")
    assert wanted in wire.output("ingest")
    assert len(wire.logged("a", 2)) == 0
    hosts.learner.revoke("owner")
    wait_for("the list to be read", lambda: time.sleep(0.5) is None)
    wire.start_io("a", **spool)
    assert len(wire.wait_logged("a", 2, 6)) == 6, "the spool has kept them"


def test_a_disk_that_cannot_note_the_owner_is_waited_for(wire: WireHarness, hosts: Hosts) -> None:
    """The I/O process tries again, and what it has spooled arrives."""
    client = hosts.client("robot", Role.ACTOR)
    serve(wire, hosts.learner)
    blocked = wire.log_dir / "owners.json.draft"
    blocked.mkdir()  # what is written aside has no place
    link, process = wire.link("a", 1), wire.start_io("a", keys=str(client.path))
    write_episode(link, wire.spec, np.random.default_rng(0), 20)
    wait_for("the refusal", lambda: "owners.json" in wire.output("ingest"))
    assert process.poll() is None
    blocked.rmdir()
    assert len(wire.wait_logged("a", 1, 21)) == 21


def test_damaged_owners_are_named(wire: WireHarness, hosts: Hosts) -> None:
    wire.end(serve(wire, hosts.learner))
    (wire.log_dir / "owners.json").write_text("[1")
    process = wire.start_ingest(wait=False, keys=str(hosts.learner.path))
    assert process.wait(60) == 2
    assert "owners.json" in wire.output("ingest")
    assert "valid: actor id -> public key" in wire.output("ingest")


def test_a_key_that_is_listed_later_needs_no_restart(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR, listed=False)
    serve(wire, hosts.learner)
    carry(robot, hosts.learner, "arm")
    time.sleep(0.5)
    recording(wire, robot)


def test_damage_to_the_key_folder_lets_nobody_new_in(wire: WireHarness, hosts: Hosts) -> None:
    """A damaged file: its key alone. A folder that others may enter: nobody."""
    robots = {name: hosts.client(name, Role.ACTOR) for name in ("a", "b")}
    serve(wire, hosts.learner)
    wire.start_io("b", keys=str(robots["b"].path))
    link = wire.link("b", 1)
    wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
    (hosts.learner.path / "a.key").write_text("{")
    wait_for("the complaint", lambda: "a.key is no key file" in wire.output("ingest"))
    assert wire.start_io("a", keys=str(robots["a"].path)).wait(60) == 2
    assert link.status is LinkStatus.CONNECTED
    hosts.learner.path.chmod(0o755)
    wait_for("the end", lambda: link.status is LinkStatus.REFUSED)
    assert "nobody may connect" in wire.output("ingest")
    assert "mode 0700" in wire.output("ingest")


def test_ingest_and_io_refuse_keys_that_others_can_read(wire: WireHarness, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    for folder, name in ((hosts.learner, "learner"), (robot, "arm")):
        (folder.path / f"{name}.secret").chmod(0o644)
    first = wire.start_ingest(wait=False, keys=str(hosts.learner.path))
    assert (first.wait(60), wire.start_io("a", keys=str(robot.path)).wait(60)) == (2, 2)
    assert "learner.secret must be a file" in wire.output("ingest")
    assert "arm.secret must be a file" in wire.output("io-a")
    assert not wire.log_dir.exists(), "nothing was made"


def test_no_secret_on_a_command_line_in_the_environment_or_printed(
    wire: WireHarness, hosts: Hosts
) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    processes = [serve(wire, hosts.learner), wire.start_io("a", keys=str(robot.path))]
    link = wire.link("a", 1)
    wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
    secrets = [hosts.learner.pair("learner").secret, robot.pair("arm").secret]
    for process in processes:
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{process.pid}/{name}").read_bytes()
            assert text
            assert not any(secret in text for secret in secrets)
    printed = (wire.output("ingest") + wire.output("io-a")).encode()
    assert not any(secret in printed for secret in secrets)


def test_with_keys_other_hosts_are_allowed_without_insecure(tmp_path: Path, hosts: Hosts) -> None:
    robot = hosts.client("arm", Role.ACTOR)
    with WireHarness(tmp_path) as wire:
        wire.addresses = ("tcp://0.0.0.0:*", wire.addresses[1])
        serve(wire, hosts.learner)
        wire.addresses = (wire.addresses[0].replace("0.0.0.0", "127.0.0.1"), wire.addresses[1])
        wire.start_io("a", keys=str(robot.path))
        link = wire.link("a", 1)
        wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
        assert "WARNING" not in wire.output("ingest")
