"""The five failures measured in a peer's transport, each as a case, each with its planted twin."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_recorder import Broken
from fault_world import ACTOR, HUNG_S, World, wait_for
from faults_process import written

from robot_rl.data.log_reader import LogReader
from robot_rl.data.replay import Replay
from robot_rl.data.sampler import Sampler
from robot_rl.errors import WireError
from robot_rl.sampling import Sampling

SENT = 1500
WAITS = re.compile(r"socket:|\[eventpoll\]")
"""What a process that speaks to others has open, and a control loop has not."""


def restarted_actor(world: World) -> None:
    """1a: 1,500 records from each of two lives that both count from 0."""
    world.start_side("ingest")
    world.start_side("io")
    for _ in range(2):
        world.start_side("actor")
        if world.sides["actor"].wait(HUNG_S) != 0:
            raise Broken("the actor failed")


def restarted_learner_side(world: World) -> None:
    """1b: the learner's side comes back with the log that it had, the actor never left."""
    world.start_all()
    time.sleep(0.5)
    world.kill("ingest")
    world.restart("ingest")


def long_outage(world: World) -> None:
    """1c: 3,500 steps with nobody to take them."""
    world.start_side("io")
    world.start_side("actor")
    if world.sides["actor"].wait(HUNG_S) != 0:
        raise Broken("the actor failed")
    time.sleep(0.3)
    world.start_side("ingest")


def blocked_loop(world: World) -> None:
    """2: the learner's side is dead; no step of the control loop may wait for it: the loop has no
    socket, and takes its steps."""
    world.start_all()
    world.kill("ingest")
    before = written(world)
    handles = Path(f"/proc/{world.sides['actor'].pid}/fd")

    def stepped() -> bool:
        if found := [link for fd in handles.iterdir() if WAITS.search(link := target(fd))]:
            raise Broken(f"the control loop waits for others: {found}")
        return written(world) > before + 1000

    wait_for("a thousand steps", stepped)


def target(handle: Path) -> str:
    """What an open file of a process is, "" when it was closed meanwhile."""
    try:
        return os.readlink(handle)
    except OSError:
        return ""


def garbage_frame(world: World) -> None:
    """3: frames that no peer of ours sends; the server goes on serving."""
    import zmq

    world.start_all()
    context = zmq.Context()
    try:
        for address in world.addresses:
            rogue = context.socket(zmq.DEALER)
            rogue.setsockopt(zmq.LINGER, 1000)
            rogue.connect(address)
            for frames in ([b"x"], [b"", b"", b""], [b"\xff" * 99, b"y", b"z"], [b"a"] * 7):
                rogue.send_multipart(frames)
            rogue.close()
    finally:
        context.term()
    time.sleep(0.3)
    world.goes_on()


def stale_policy(world: World) -> None:
    """4: fifty versions in a second; the actor uses the newest, never one of the queue."""
    world.start_side("ingest")
    world.start_side("io")
    learner = world.learner()
    link = world.link(ACTOR, 5)
    used = 0
    for version in range(1, 51):
        learner.publish({"w": np.full(300_000, version, np.float32)}, version)
        found = link.newest()
        used = found[1] if found else used
        time.sleep(0.02)
    versions = [used]

    def newest() -> bool:
        found = link.newest()
        if found and found[1] > versions[-1]:
            versions.append(found[1])
        if len(versions) > 12:  # a few were on their way when the last was published
            raise Broken(f"versions {versions} came one by one after the last was published")
        return versions[-1] == 50

    wait_for("the newest weights", newest)


def terminal_time_limit(world: World) -> None:
    """5: an episode that ran out of time goes on beyond its last step: it must be bootstrapped."""
    world.start_all()
    time.sleep(0.5)
    world.finish()
    reader = LogReader(world.log_dir, world.spec)
    replay = Replay(world.spec, 10_000, streams=1)
    truncated = 0
    for chunk in reader.chunks():
        replay.extend(chunk.header, chunk.records)
        truncated += int(chunk.records["truncated"].sum())
    batch = Sampler(replay, Sampling(256, 4)).sample(np.random.default_rng(0))
    if truncated < 5 or not (batch.mask == 1.0).all():
        share = float((batch.mask == 0.0).mean())
        raise Broken(f"{truncated} time limits; {share:.0%} of a batch do not bootstrap")


CASES: dict[str, tuple[Callable[[World], None], str, dict[str, object]]] = {
    "1a restarted actor": (restarted_actor, "epoch", {"steps": SENT, "rate_hz": 3000.0}),
    "1b restarted learner's side": (restarted_learner_side, "deduplication", {}),
    "1c long outage": (
        long_outage,
        "spool_keeps_what_is_not_acknowledged",
        {"steps": 3500, "rate_hz": 3000.0},
    ),
    "2 blocked control loop": (blocked_loop, "control_loop_asks_nobody", {}),
    "3 one garbage frame": (garbage_frame, "garbage_is_counted", {}),
    "4 stale policy": (stale_policy, "newest_weights_only", {}),
    "5 time limit stored as terminal": (
        terminal_time_limit,
        "time_limits_are_not_terminal",
        {"episode": 5},
    ),
}


def run(case: str, folder: Path, *, twin: bool) -> None:
    inject, guard, changes = CASES[case]
    if twin and guard == "epoch":
        changes = changes | {"epoch": 1}  # the planted bug: every life has the same
    without = (guard,) if twin and guard != "epoch" else ()
    with World(folder, without=without, settings={"actor": changes}) as world:
        inject(world)
        if "actor" in world.sides:
            world.finish(twin=twin).require()


@pytest.mark.parametrize("case", CASES)
def test_peers_defect(tmp_path: Path, case: str) -> None:
    run(case, tmp_path, twin=False)


@pytest.mark.parametrize("case", CASES)
def test_peers_defect_twin(tmp_path: Path, case: str) -> None:
    with pytest.raises((Broken, WireError)) as found:
        run(case, tmp_path, twin=True)
    print(found.value)
