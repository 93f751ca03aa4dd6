"""The wire between processes: what is written arrives, byte-equal, as far as credits go."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_rl.ingest.sessions import LEASE_S, Sessions
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


def test_who_holds_the_same_spool_has_no_lease_to_wait_for(wire: WireHarness) -> None:
    """The lock is the proof that the one before is dead."""

    def hello(sender: int) -> p.Hello:
        schema = wire.spec.sha256()
        return handshake.hello("a", 1, sender, 0, wire.spec.to_json(), schema)

    sessions = Sessions()
    assert sessions.claim(b"1", hello(5), 0.00) is not None
    assert sessions.claim(b"2", hello(5), 0.01) is not None
    assert list(sessions.sessions) == [b"2"]
    assert sessions.claim(b"3", hello(6), 0.02) is None
    assert sessions.claim(b"3", hello(6), 0.01 + LEASE_S) is not None
    assert list(sessions.sessions) == [b"3"]


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


def test_no_torch_and_no_simulator_in_the_wires_processes() -> None:
    code = (
        "import sys, robot_rl.ingest.process, robot_rl.runtime.io, robot_rl.wire.actor_link\n"
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
        step, end = 0, time.monotonic() + 60
        while "spool_full" not in link.hold_reason() and time.monotonic() < end:
            if not link.hold_reason():
                step += 1
                link.step(random_transition(wire.spec, rng, obs, step=step))
        assert "nobody acknowledged" in link.hold_reason()
        wire.start_ingest()
        wait_for("room", lambda: not link.hold_reason())
        logged = wire.wait_logged("a", 1, len(recorder))
        require_equal(logged, recorder.array(record_dtype(wire.spec)), "after a full spool")
