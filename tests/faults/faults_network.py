"""Faults of the network: bad chunks, bad streams, bad links."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Callable

from fault_actor import EPISODE
from fault_mangle import HEADS
from fault_namespace import Namespace
from fault_proxy import Proxy
from fault_recorder import Broken, What, notes
from fault_world import World, wait_for


def mangled(kind: str, share: float = 0.15) -> Callable[[World], None]:
    """A share of the I/O process's chunks suffers, or of all its messages."""

    def inject(world: World) -> None:
        world.start_side("ingest")
        world.start_side("io", mangle={"kind": kind, "share": share, "seed": 1})
        world.start_side("actor")
        world.begins()
        time.sleep(1.0)
        world.goes_on()

    return inject


def wrong_answers(world: World) -> None:
    """Half of what ingest says has a wrong bit; no actor may read more credits than were given."""
    world.granted = 0
    world.start_side("ingest", mangle={"kind": HEADS, "share": 0.5, "seed": 1})
    learner = world.learner()
    given = [(0, 20)]
    learner.grant(20)
    world.start_side("io")
    world.start_side("actor")
    world.begins()
    for granted in range(20, 600):
        given.append((time.monotonic_ns(), granted))
        learner.grant(granted)
        time.sleep(0.005)
    given.append((time.monotonic_ns(), 1 << 60))
    learner.grant(1 << 40)
    for note in notes(world.book("actor")):
        if note.what is What.WRITTEN:
            steps = note.sequence - note.sequence // (EPISODE + 1)  # each begins with a START
            allowed = given[bisect_right(given, (note.at_ns, 1 << 62)) - 1][1]
            if steps > allowed:
                raise Broken(f"step {steps} was taken when {allowed} were granted")


def flipped_bits(world: World) -> None:
    """The TCP stream towards ingest has wrong bits."""
    with through_proxy(world) as proxy:
        proxy.flip = 2e-5
        time.sleep(3.0)
        proxy.flip = 0.0
        if not proxy.flipped:
            raise Broken("no bit was flipped")
        world.goes_on()
        world.finish_actor()


def partitioned(world: World) -> None:
    """Nothing passes for longer than a session may be silent, connections are cut, delays."""
    with through_proxy(world) as proxy:
        proxy.delay_s, proxy.jitter_s = 0.02, 0.03
        time.sleep(1.0)
        proxy.delay_s = proxy.jitter_s = 0.0
        for _ in range(5):
            proxy.cut()
            time.sleep(0.15)
        proxy.stalled = True
        time.sleep(3.6)
        proxy.stalled = False
        world.goes_on()
        world.finish_actor()


def through_proxy(world: World) -> Proxy:
    """Everything over TCP, the I/O process through the proxy."""
    world.addresses = ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    actors, learner_endpoint = world.output("ingest").split("READY ")[1].split()[:2]
    proxy = Proxy(int(actors.rpartition(":")[2]))
    world.addresses = (f"tcp://127.0.0.1:{proxy.port}", learner_endpoint)
    world.start_side("io")
    world.start_side("actor")
    world.begins()
    return proxy


def bad_link(seconds: float, **trouble: float) -> Callable[[World], None]:
    """The I/O process in a network namespace of its own, whose link suffers for a while; it is
    killed in the midst of it, with records on their way."""

    def inject(world: World) -> None:
        with Namespace(f"rrl{os.getpid() % 10**6}") as space:
            world.addresses = (f"tcp://{space.near}:*", world.addresses[1])
            world.settings = {"ingest": {"insecure": True}, "io": {"insecure": True}}
            world.start_side("ingest")
            wait_for("ingest", lambda: "READY" in world.output("ingest"))
            world.addresses = (world.output("ingest").split("READY ")[1].split()[0], "")
            world.prefix = {"io": ["ip", "netns", "exec", space.name]}
            world.start_side("io")
            world.start_side("actor")
            world.begins()
            for name, value in trouble.items():
                setattr(space, name, value)
            time.sleep(seconds / 2)
            world.kill("io")
            world.start_side("io")
            time.sleep(seconds / 2)
            if "loss" in trouble and not space.lost:
                raise Broken("no packet was lost")
            for name in trouble:
                setattr(space, name, 0.0)
            world.goes_on()
            world.finish()
            world.judged = world.judge()

    return inject
