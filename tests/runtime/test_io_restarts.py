"""Processes of the wire killed and restarted: nothing lost, nothing doubled."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from robot_rl.runtime.io import IOProcess
from robot_rl.testing.check_wire import Recorder, require_equal
from robot_rl.testing.wire_harness import (
    WireHarness,
    wait_for,
    write_episode,
)
from robot_rl.wire.mailbox import LinkStatus
from robot_rl.wire.process import IngestConfig, IOConfig
from robot_rl.wire.record import record_dtype


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

    from robot_rl.ingest import process as ingest
    from robot_rl.runtime import io

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
    process.session.close()
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
