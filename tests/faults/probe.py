"""A 1 kHz loop in the actor's place while learner, network and disk are in trouble.

    python tests/faults/probe.py --rounds 5 --seconds 4
    python tests/faults/probe.py --periods 10000        (policy periods, at 10 Hz, all troubles)

Conditions take turns; ratios are of medians over the rounds to the bare loop of the same rounds, so
that what else the machine does touches both. The wire is the product's, over TCP through a proxy.
"grind" is the bare loop beside the same busy disk: what the machine does to a loop without a wire.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from areas.loop import _probe, summary
from areas.probe import ACTOR, ProbeConfig
from companion import HERE, Companion
from fault_proxy import Proxy
from fault_world import World, wait_for

from robot_rl.runtime.rundir import cpu_model

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "fault_probe.json"
CONDITIONS = ("bare", "grind", "wire", "learner", "network", "disk", "killed", "all")
BUSY = [sys.executable, str(HERE / "areas" / "busy.py"), "--eager"]
BARE_SHARE = 10
"""Of the policy periods, one in so many is also measured with a bare loop."""


@contextlib.contextmanager
def trouble(kind: str, learner: Companion, seconds: float) -> Iterator[str]:
    """The wire in a condition; gives the runtime directory of the probe's link."""
    if kind == "bare":
        yield ""
        return
    stop = threading.Event()
    jobs: list[Callable[[], None]] = []
    if kind == "grind":
        with tempfile.TemporaryDirectory(prefix="probe-") as name:
            grinder = threading.Thread(target=repeat, args=(lambda: grind(Path(name)), stop))
            grinder.start()
            try:
                yield ""
            finally:
                stop.set()
                grinder.join()
        return
    with tempfile.TemporaryDirectory(prefix="probe-") as name, World(Path(name)) as world:
        proxy = start(world)
        if kind in ("network", "all"):
            jobs.append(lambda: shake(proxy))
        if kind in ("disk", "all"):
            jobs.append(lambda: grind(Path(name)))
        if kind in ("killed", "all"):
            jobs.append(lambda: bounce(world))
        threads = [threading.Thread(target=repeat, args=(job, stop)) for job in jobs]
        if kind in ("learner", "all"):
            learner.ask(seconds=seconds + 1.0)
        for thread in threads:
            thread.start()
        try:
            yield str(world.runtime)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            proxy.close()
            if kind in ("learner", "all"):
                learner.answer()


def start(world: World) -> Proxy:
    """Ingest, and the probe's I/O process behind a proxy."""
    world.addresses = ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    world.start_side("ingest")
    wait_for("ingest", lambda: "READY" in world.output("ingest"))
    actors, learner_endpoint = world.output("ingest").split("READY ")[1].split()[:2]
    proxy = Proxy(int(actors.rpartition(":")[2]))
    world.addresses = (f"tcp://127.0.0.1:{proxy.port}", learner_endpoint)
    world.sides["io"] = world.start_io(ACTOR)
    world.addresses = (actors, learner_endpoint)
    return proxy


def repeat(job: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(0.1):
        job()


def shake(proxy: Proxy) -> None:
    """Delay, a stall, cut connections."""
    time.sleep(1.0)
    proxy.delay_s = 0.02
    time.sleep(0.3)
    proxy.delay_s, proxy.stalled = 0.0, True
    time.sleep(0.3)
    proxy.stalled = False
    proxy.cut()


def grind(folder: Path) -> None:
    """The disk under spool and log is kept busy with writes and syncs by another process."""
    target = folder / "grind.bin"
    words = ["dd", "if=/dev/zero", f"of={target}", "bs=1M", "count=32", "conv=fdatasync"]
    subprocess.run(words, stderr=subprocess.DEVNULL, check=False)


def bounce(world: World) -> None:
    """Ingest dies and comes back, for long enough that records flow."""
    time.sleep(1.5)
    world.kill("ingest")
    lives = world.output("ingest").count("READY")
    world.start_side("ingest")
    wait_for("ingest", lambda: world.output("ingest").count("READY") > lives, 60.0)


def measure(rounds: int, seconds: float, fifo: bool, conditions: list[str]) -> dict[str, Any]:
    """Percentiles by condition and their ratios to the bare loop's."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in conditions}
    with Companion("learner", BUSY) as learner:
        for _ in range(rounds):
            for name in conditions:
                with trouble(name, learner, seconds) as runtime:
                    config = ProbeConfig(seconds, 1000, fifo, runtime)
                    found[name].append(_probe(config))
    return summary(found) | {"rounds": rounds, "seconds": seconds, "period_us": 1000}


def policy_periods(periods: int, hz: int, fifo: bool) -> dict[str, Any]:
    """So many periods at `hz` under everything at once, and a share of them of the bare loop."""
    result: dict[str, Any] = {"periods": periods, "period_us": 1_000_000 // hz}
    with Companion("learner", BUSY) as learner:
        for name, share in (("bare", BARE_SHARE), ("all", 1)):
            seconds = periods / share / hz
            with trouble(name, learner, seconds) as runtime:
                found = _probe(ProbeConfig(seconds, 1_000_000 // hz, fifo, runtime))
            result[name] = {key: value for key, value in found.items() if key != "records"}
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--periods", type=int, default=0, help="policy periods instead")
    parser.add_argument("--hz", type=int, default=10, help="of the policy periods")
    parser.add_argument("--fifo", action="store_true", help="the loop asks for SCHED_FIFO")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--conditions", default=",".join(CONDITIONS), help="the first is the bare one"
    )
    options = parser.parse_args()
    conditions = options.conditions.split(",")
    if conditions[0] != "bare" or not set(conditions) <= set(CONDITIONS):
        parser.error(f"conditions {conditions}; valid: bare and any of {', '.join(CONDITIONS)}")
    book: dict[str, Any] = (
        json.loads(options.results.read_text()) if options.results.exists() else {}
    )
    if options.periods:
        book["policy"] = policy_periods(options.periods, options.hz, options.fifo)
    else:
        book["loop"] = measure(options.rounds, options.seconds, options.fifo, conditions)
    load = [round(value, 1) for value in os.getloadavg()]
    book |= {"date": time.strftime("%Y-%m-%d"), "cpu": cpu_model(), "load_average": load}
    options.results.write_text(json.dumps(book, indent=1) + "\n")
    print(json.dumps(book, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
