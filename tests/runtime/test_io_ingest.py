"""The wire between processes: nothing lost, nothing doubled, and what is refused says why."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.runtime.endpoints import IngestConfig, IOConfig
from robot_rl.runtime.io import IOProcess
from robot_rl.runtime.registry import LEASE_S, Registry
from robot_rl.testing.check_wire import Recorder, check_wire, require_equal
from robot_rl.testing.wire_harness import (
    WireHarness,
    random_observation,
    random_transition,
    small_spec,
    wait_for,
    write_episode,
)
from robot_rl.wire import handshake
from robot_rl.wire import protocol as p
from robot_rl.wire.mailbox import LinkStatus
from robot_rl.wire.record import record_dtype
from robot_rl.wire.sockets import Dealer


@pytest.fixture
def wire(tmp_path: Path):
    with WireHarness(tmp_path) as harness:
        yield harness


def test_conformance_with_two_actors(tmp_path: Path) -> None:
    check_wire(tmp_path, actors=2, steps=200)


def test_images_arrive_byte_equal(tmp_path: Path) -> None:
    with WireHarness(tmp_path, small_spec(image=64)) as wire:
        wire.start_ingest()
        wire.start_io("a")
        link = wire.link("a", 1)
        recorder = Recorder(link)
        write_episode(link, wire.spec, np.random.default_rng(0), 100)
        require_equal(
            wire.wait_logged("a", 1, 101), recorder.array(record_dtype(wire.spec)), "images"
        )


def write_while(wire: WireHarness, link, chaos, *, parts: int = 4, steps: int = 150) -> None:
    """Episodes with `chaos(part)` between and during them."""
    rng = np.random.default_rng(1)
    for part in range(parts):
        write_episode(link, wire.spec, rng, steps)
        chaos(part)
        write_episode(link, wire.spec, rng, steps)


def test_ingest_killed_and_restarted_loses_and_doubles_nothing(wire: WireHarness) -> None:
    process = wire.start_ingest(sync_ms=5.0)
    wire.start_io("a", chunk_records=3)
    link = wire.link("a", 5)
    recorder = Recorder(link)

    def chaos(part: int) -> None:
        nonlocal process
        wire.end(process, signal.SIGKILL)
        process = wire.start_ingest(sync_ms=5.0)

    write_while(wire, link, chaos)
    logged = wire.wait_logged("a", 5, len(recorder))
    require_equal(logged, recorder.array(record_dtype(wire.spec)), "after kills of ingest")


def test_io_killed_and_restarted_loses_and_doubles_nothing(wire: WireHarness) -> None:
    wire.start_ingest()
    process = wire.start_io("a", chunk_records=3)
    link = wire.link("a", 6)
    recorder = Recorder(link)

    def chaos(part: int) -> None:
        nonlocal process
        wire.end(process, signal.SIGKILL)
        process = wire.start_io("a", chunk_records=3)

    write_while(wire, link, chaos)
    logged = wire.wait_logged("a", 6, len(recorder))
    require_equal(logged, recorder.array(record_dtype(wire.spec)), "after kills of the I/O process")


def test_records_written_without_ingest_and_then_without_actor_arrive(wire: WireHarness) -> None:
    process = wire.start_io("a")
    link = wire.link("a", 1)
    recorder = Recorder(link)
    write_episode(link, wire.spec, np.random.default_rng(2), 200)
    wait_for("the I/O process", lambda: link.room == link._ring.identity.slots)
    write_episode(link, wire.spec, np.random.default_rng(3), 200)
    link.close()
    assert wire.end(process) == 0  # the bounded flush finds nobody; the spool keeps it all
    wire.start_ingest()
    wire.start_io("a")
    logged = wire.wait_logged("a", 1, len(recorder))
    require_equal(logged, recorder.array(record_dtype(wire.spec)), "from the spool")


ACTOR = """
import sys, numpy as np
from pathlib import Path
from robot_rl.testing.wire_harness import small_spec, write_episode
from robot_rl.wire.actor_link import ActorLink
spec = small_spec()
link = ActorLink(Path(sys.argv[1]), spec, "a", int(sys.argv[2]))
print("UP", flush=True)
write_episode(link, spec, np.random.default_rng(int(sys.argv[2])), 10**9)
"""


def test_actor_killed_and_restarted_with_a_new_epoch(wire: WireHarness) -> None:
    wire.start_ingest()
    wire.start_io("a")
    for epoch in (11, 12):
        process = wire.start(
            [sys.executable, "-c", ACTOR, str(wire.runtime), str(epoch)], f"actor-{epoch}"
        )
        wire.wait_logged("a", epoch, 300)
        wire.end(process, signal.SIGKILL)
    link = wire.link("a", 13)
    write_episode(link, wire.spec, np.random.default_rng(13), 50)
    assert len(wire.wait_logged("a", 13, 51)) == 51
    for epoch in (11, 12):
        sequences = wire.logged("a", epoch)["sequence"]
        np.testing.assert_array_equal(sequences, np.arange(len(sequences)))
    wait_for("the dead actor's rings to go", lambda: len(list(wire.runtime.glob("*.ring"))) == 1)


def test_poisoned_record_is_quarantined_and_reported(wire: WireHarness) -> None:
    wire.start_ingest()
    wire.start_io("a")
    learner = wire.learner()
    link = wire.link("a", 1)
    rng = np.random.default_rng(0)
    obs = random_observation(wire.spec, rng)
    link.start(obs, 0, 0, 1)
    for step in range(1, 51):
        transition = random_transition(wire.spec, rng, obs, step=step)
        link.step(replace(transition, reward=float("nan")) if step == 20 else transition)
    logged = wire.wait_logged("a", 1, 50)
    assert 20 not in logged["sequence"]
    assert len(logged) == 50
    wait_for("the count", lambda: (s := learner.stats()) is not None and s.quarantined == 1)
    text = wire.output("ingest")
    assert "WARN quarantined record 20 of actor 'a'" in text
    (kept,) = wire.log_dir.glob("quarantine.chunks")
    assert f"it is in {kept}, not in the log" in text
    assert "reward" in text


def test_poisoned_weights_leave_the_last_good_ones(wire: WireHarness) -> None:
    from robot_rl.errors import PoisonedDataError
    from robot_rl.wire import protocol as p
    from robot_rl.wire.weights import FlatWeights

    wire.start_ingest()
    wire.start_io("a")
    learner = wire.learner()
    learner.publish({"w": np.ones(3, "f4")}, 1)
    with pytest.raises(PoisonedDataError, match="'w' is not finite"):
        learner.publish({"w": np.array([1, np.nan, 1], "f4")}, 2)
    flat = FlatWeights.pack({"w": np.ones(3, "f4")}, 3)
    data = np.array([1, np.inf, 1], "<f4").tobytes()
    from crc32c import crc32c

    head, _ = FlatWeights(3, flat.table, data, crc32c(data)).part(0, 100)
    rogue = Dealer(wire.addresses[1])
    rogue.send(p.encode(head), b"", data)
    link = wire.link("a", 1)
    wait_for("the refusal", lambda: "not finite" in wire.output("ingest"))
    wait_for("the good weights", lambda: link.published_version == 1)
    rogue.close()


def test_another_specification_is_refused_with_the_differences(wire: WireHarness) -> None:
    wire.start_ingest()
    process = wire.start_io("a")
    wire.spec = replace(wire.spec, rate_hz=20.0)
    link = wire.link("a", 1)
    assert process.wait(20) == 2
    assert "rate_hz: 10.0 != 20.0" in wire.output("io-a")
    assert link.status in (LinkStatus.REFUSED, LinkStatus.ENDED)
    assert "rate_hz" in link.refusal()


def test_another_protocol_version_is_refused(wire: WireHarness) -> None:
    wire.start_ingest()
    peer = Dealer(wire.addresses[0])
    spec = wire.spec.to_json()
    newer = p.Hello("robot-rl", handshake.PROTOCOL + 1, "a", 1, 1, 0, wire.spec.sha256(), spec)
    peer.send(p.encode(newer))
    answers: list[p.Message] = []

    def answered() -> bool:
        if (message := peer.receive()) is not None:
            answers.append(p.decode(message.head))
        return bool(answers)

    wait_for("the refusal", answered)
    peer.close()
    assert isinstance(answers[0], p.Refusal)
    assert not answers[0].retry
    assert (
        f"speaks wire protocol {handshake.PROTOCOL + 1}, this side {handshake.PROTOCOL}"
        in answers[0].reason
    )


def test_garbage_is_counted_and_the_server_goes_on(wire: WireHarness) -> None:
    import zmq

    wire.start_ingest()
    context = zmq.Context()
    rng = np.random.default_rng(0)
    try:
        for address in wire.addresses:
            rogue = context.socket(zmq.DEALER)
            rogue.setsockopt(zmq.LINGER, 1000)
            rogue.connect(address)
            for _ in range(50):
                count = int(rng.integers(1, 9))
                rogue.send_multipart([rng.bytes(int(rng.integers(0, 99))) for _ in range(count)])
            rogue.send_multipart([b"\x91\xa4data", b"", b""])
            rogue.send_multipart([b"\x81\xa4type\xa4data", b"x" * 92, b"y" * 1000])
            rogue.send(b"")
            rogue.close()
    finally:
        context.term()
    learner = wire.learner()
    wait_for("the count", lambda: (s := learner.stats()) is not None and s.garbage > 90)
    wire.start_io("a")
    link = wire.link("a", 1)
    write_episode(link, wire.spec, np.random.default_rng(0), 100)
    assert len(wire.wait_logged("a", 1, 101)) == 101
    assert "WARN ingest: garbage" in wire.output("ingest")


def test_addresses_and_log_in_use_are_errors(wire: WireHarness) -> None:
    wire.start_ingest()
    second = wire.start_ingest(wait=False)
    assert second.wait(20) == 2
    assert "ERROR address ipc://" in wire.output("ingest")
    assert "is in use by process" in wire.output("ingest")
    wire.start_io("a")
    wait_for("the spool", lambda: (wire.folder / "spool/a/lock").exists())
    other = wire.start_io("a")
    assert other.wait(20) == 2
    assert "spool/a is in use by process" in wire.output("io-a")


def test_two_actors_with_one_id_on_two_hosts(wire: WireHarness, tmp_path: Path) -> None:
    """Two I/O processes with spools of their own: the second waits, and says so."""
    wire.start_ingest()
    wire.start_io("a")
    first = wire.link("a", 1)
    wait_for("the first", lambda: first.status is LinkStatus.CONNECTED)
    with WireHarness(tmp_path) as elsewhere:
        elsewhere.addresses = wire.addresses
        elsewhere.start_io("b")
        config = IOConfig("a", wire.addresses[0], str(elsewhere.runtime), str(tmp_path / "other"))
        from robot_rl.runtime import io

        elsewhere.start(io.command(config), "io-other")
        second = elsewhere.link("a", 2)
        wait_for("the refusal", lambda: "in use by another I/O process" in second._mailbox.text)
        write_episode(first, wire.spec, np.random.default_rng(0), 30)
        assert len(wire.wait_logged("a", 1, 31)) == 31


def test_who_holds_the_same_spool_has_no_lease_to_wait_for(wire: WireHarness) -> None:
    """The lock is the proof that the one before is dead."""

    def hello(sender: int) -> p.Hello:
        schema = wire.spec.sha256()
        return handshake.hello("a", 1, sender, 0, wire.spec.to_json(), schema)

    registry = Registry()
    assert registry.claim(b"1", hello(5), 0.00) is not None
    assert registry.claim(b"2", hello(5), 0.01) is not None
    assert list(registry.sessions) == [b"2"]
    assert registry.claim(b"3", hello(6), 0.02) is None
    assert registry.claim(b"3", hello(6), 0.01 + LEASE_S) is not None
    assert list(registry.sessions) == [b"3"]


def test_one_actor_too_many_is_refused_and_those_that_are_known_go_on(wire: WireHarness) -> None:
    """Its records would end the learner, whose replay has a ring for each actor."""
    wire.start_ingest(actors=1)
    for actor in ("left", "right"):
        wire.start_io(actor)
    first, rng = wire.link("left", 1), np.random.default_rng(0)
    write_episode(first, wire.spec, rng, 3)
    wire.wait_logged("left", 1, 4)
    second = wire.link("right", 1)
    wait_for("the refusal", lambda: "one too many" in second.refusal())
    assert "room for 1 (left); valid: one of these ids, or actors=2" in second.refusal()
    first.close()
    again = wire.link("left", 2)
    write_episode(again, wire.spec, rng, 3)
    wire.wait_logged("left", 2, 4)


def test_credits_are_shared_and_survive_restarts(tmp_path: Path) -> None:
    with WireHarness(tmp_path, granted=0) as wire:
        ingest = wire.start_ingest()
        learner = wire.learner()
        wire.start_io("a")
        link = wire.link("a", 3)
        wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
        assert link.credits == 0
        learner.grant(100)
        wait_for("credits", lambda: link.credits == 100)
        write_episode(link, wire.spec, np.random.default_rng(0), 60)
        wire.wait_logged("a", 3, 61)
        wire.end(ingest)
        wire.start_ingest()
        learner.grant(150)
        wait_for("credits of the new ingest", lambda: link.credits == 150)


def test_quarantined_steps_are_granted_again(tmp_path: Path) -> None:
    with WireHarness(tmp_path, granted=0) as wire:
        ingest = wire.start_ingest()
        learner = wire.learner()
        learner.grant(30)
        wire.start_io("a")
        link = wire.link("a", 3)
        wait_for("credits", lambda: link.credits == 30)
        rng = np.random.default_rng(0)
        obs = random_observation(wire.spec, rng)
        link.start(obs, 0, 0, 1)
        for step in range(1, 31):
            transition = random_transition(wire.spec, rng, obs, step=step)
            link.step(replace(transition, reward=float("inf")) if step % 10 == 0 else transition)
        wait_for("three more", lambda: link.credits == 33)
        wire.end(ingest)
        wire.start_ingest()
        learner.grant(40)
        wait_for("the same after a restart", lambda: link.credits == 43)
        wait_for("the count", lambda: (s := learner.stats()) is not None and s.quarantined == 3)
        found = learner.stats()
        assert found is not None
        assert found.gaps == 0, "the last record was quarantined, not lost"
        assert "no longer has" not in wire.output("ingest")


def test_weights_larger_than_a_message_and_a_new_ingest(wire: WireHarness) -> None:
    process = wire.start_ingest()
    learner = wire.learner()
    rng = np.random.default_rng(0)
    weights = {f"layer{n}": rng.standard_normal((1300, 1000)).astype("f4") for n in range(2)}
    learner.publish(weights, 1)
    wire.end(process)
    wire.start_ingest()
    wire.start_io("a")
    link = wire.link("a", 1)
    found = []

    def arrived() -> bool:
        found.append(link.newest())
        return found[-1] is not None

    wait_for("the weights", arrived)
    arrays, version = found[-1]
    assert version == 1
    for name, array in weights.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_tcp_on_loopback_carries_the_same(wire: WireHarness) -> None:
    wire.addresses = ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    wire.start_ingest()
    ready = wire.output("ingest").split("READY ")[1].split()
    wire.addresses = (ready[0], ready[1])
    wire.start_io("a")
    learner = wire.learner()
    link = wire.link("a", 1)
    recorder = Recorder(link)
    learner.publish({"w": np.ones(5, "f4")}, 1)
    write_episode(link, wire.spec, np.random.default_rng(0), 100)
    logged = wire.wait_logged("a", 1, 101)
    require_equal(logged, recorder.array(record_dtype(wire.spec)), "over TCP")
    wait_for("weights", lambda: link.published_version == 1)


def test_port_in_use_ends_ingest_with_a_readable_line(wire: WireHarness) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        wire.addresses = (f"tcp://127.0.0.1:{holder.getsockname()[1]}", wire.addresses[1])
        process = wire.start_ingest(wait=False)
        assert process.wait(20) == 2
    assert "ERROR address tcp://127.0.0.1:" in wire.output("ingest")
    assert "is in use by another process" in wire.output("ingest")
    assert not wire.log_dir.exists(), "nothing was made"


def test_address_off_loopback_ends_both_with_a_readable_line(wire: WireHarness) -> None:
    wire.addresses = ("tcp://0.0.0.0:5999", wire.addresses[1])
    assert wire.start_ingest(wait=False).wait(20) == 2
    assert wire.start_io("a").wait(20) == 2
    for name in ("ingest", "io-a"):
        assert "ERROR address 'tcp://0.0.0.0:5999' is not on this host" in wire.output(name)


def test_no_torch_and_no_simulator_in_the_wires_processes() -> None:
    code = (
        "import sys, robot_rl.runtime.ingest, robot_rl.runtime.io, robot_rl.wire.actor_link\n"
        "heavy = {'torch', 'mujoco', 'cv2', 'hydra', 'tensorboard'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_full_spool_holds_the_actor_and_says_why(tmp_path: Path) -> None:
    with WireHarness(tmp_path) as wire:
        wire.start_io("a", spool_bytes=100_000, chunk_records=16)
        link = wire.link("a", 1, slots=64)
        recorder = Recorder(link)
        rng = np.random.default_rng(0)
        obs = random_observation(wire.spec, rng)
        link.start(obs, 0, 0, 1)
        step, end = 0, time.monotonic() + 20
        while "spool_full" not in link.hold_reason() and time.monotonic() < end:
            if not link.hold_reason():
                step += 1
                link.step(random_transition(wire.spec, rng, obs, step=step))
        assert "nobody acknowledged" in link.hold_reason()
        wire.start_ingest()
        wait_for("room", lambda: not link.hold_reason())
        logged = wire.wait_logged("a", 1, len(recorder))
        require_equal(logged, recorder.array(record_dtype(wire.spec)), "after a full spool")


PARENT = """
import subprocess, sys, os, json
env = os.environ | {"ROBOT_RL_PARENT": str(os.getpid())}
for command in json.loads(sys.argv[1]):
    print(subprocess.Popen(command, env=env).pid, flush=True)
print("UP", flush=True)
sys.stdin.read()
"""


def test_kill_9_of_the_parent_leaves_no_child(wire: WireHarness, tmp_path: Path) -> None:
    import json
    import os

    from robot_rl.runtime import ingest, io

    spool = tmp_path / "spool"
    commands = [
        ingest.command(IngestConfig(*wire.addresses, str(wire.log_dir))),
        io.command(IOConfig("a", wire.addresses[0], str(wire.runtime), str(spool), flush_s=0.5)),
    ]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, json.dumps(commands)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in commands]
    wait_for("both children", lambda: (spool / "lock").exists() and wire.log_dir.parent.exists())
    link = wire.link("a", 1)
    wait_for("the connection", lambda: link.status is LinkStatus.CONNECTED)
    parent.kill()
    parent.wait()

    def gone(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"

    wait_for("both to end", lambda: all(gone(pid) for pid in pids))


def test_ring_records_that_a_dead_io_process_had_spooled_are_not_doubled(wire: WireHarness) -> None:
    """Killed between the append and the release: the worst moment."""
    link = wire.link("a", 9)
    recorder = Recorder(link)
    write_episode(link, wire.spec, np.random.default_rng(0), 30)
    config = IOConfig("a", wire.addresses[0], str(wire.runtime), str(wire.folder / "spool" / "a"))
    process = IOProcess(config)
    process.ring = None
    assert process._find(time.monotonic())
    ring = process.ring
    assert ring is not None
    ring.release = lambda: None  # type: ignore[method-assign]
    assert process.drain(time.monotonic())
    process.uplink.close()
    process.syncer.close()
    process.spool.close()
    assert ring.tail == 0
    wire.start_ingest()
    wire.start_io("a")
    logged = wire.wait_logged("a", 9, len(recorder))
    require_equal(logged, recorder.array(record_dtype(wire.spec)), "after the worst moment")


def test_a_dead_actors_damaged_ring_is_set_aside_and_the_next_life_goes_on(
    wire: WireHarness,
) -> None:
    link = wire.link("a", 21)
    recorder = Recorder(link)
    write_episode(link, wire.spec, np.random.default_rng(1), 30)
    link.close()
    (ring,) = wire.runtime.glob("*.ring")
    place = link._ring._offset + 10 * link._ring._stride + 40
    data = bytearray(ring.read_bytes())
    data[place] ^= 0x5A
    ring.write_bytes(data)
    later = wire.link("a", 22)
    write_episode(later, wire.spec, np.random.default_rng(2), 40)
    wire.start_ingest()
    wire.start_io("a")
    assert len(wire.wait_logged("a", 22, 41)) == 41
    saved = wire.logged("a", 21)
    assert len(saved) == 10
    require_equal(saved, recorder.array(record_dtype(wire.spec))[: len(saved)], "before the damage")
    (aside,) = wire.runtime.glob("*.damaged")
    told = wire.output("io-a")
    assert f"{31 - len(saved)} records of epoch 21 from sequence {len(saved)} on" in told
    assert str(aside) in told
    assert len(list(wire.runtime.glob("*.ring"))) == 1
