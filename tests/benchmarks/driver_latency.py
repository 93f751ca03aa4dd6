"""Wall-clock figures of a driver process, beside a bare FIFO probe that says whether they count.

  python tests/benchmarks/driver_latency.py [--commands 500] [--deaths 5] [--no-fifo]

command: from the actor's write until the driver has taken it (its answer in the state page).
hang: from SIGSTOP of the driver until its guardian has ended it. A row is inconclusive where the
probe, a FIFO thread that sleeps 5 ms, was itself late.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time

import numpy as np

from robot_rl.config import load_config, plain
from robot_rl.drivers.remote.launch import make
from robot_rl.drivers.remote.robot import RemoteRobot
from robot_rl.interfaces import Bundle
from robot_rl.runtime.priority import ask_for_priority
from robot_rl.types import CartesianCommand, Scene

PROBE_S = 0.005
LATE_MS = 5.0


class Probe:
    """How late a sleep of 5 ms ends, at worst, since `worst` was last asked."""

    def __init__(self) -> None:
        self._worst = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        ask_for_priority(fifo=True, nice=0)
        while True:
            began = time.monotonic()
            time.sleep(PROBE_S)
            self._worst = max(self._worst, 1e3 * (time.monotonic() - began - PROBE_S))

    def worst(self) -> float:
        """ms."""
        worst, self._worst = self._worst, 0.0
        return worst


def started(*, fifo: bool) -> Bundle:
    node = plain(load_config(["robot=fr3_sim", "robot.real_time=true"]).robot)
    node.pop("driver")
    bundle = make(node, "fr3_sim.yaml", pacing="free", fifo=fifo)
    assert bundle.world is not None
    bundle.world.build(Scene(""))
    bundle.robot.connect()
    return bundle


def latencies(robot: RemoteRobot, commands: int) -> np.ndarray:
    """ms, one a command; commands come at 50 Hz at odd moments of the driver's turn."""
    rng, out = np.random.default_rng(0), []
    for _ in range(commands):
        state = robot.read()
        robot.command(CartesianCommand(state.setpoint, state.gripper_setpoint, state.stamp_ns))
        began, number = time.perf_counter(), int(robot._record["number"])
        while int(robot._link.record()["command"]) < number:
            time.sleep(0.0001)
        out.append(1e3 * (time.perf_counter() - began))
        time.sleep(0.01 + 0.01 * rng.random())
    return np.array(out)


def kill_time(robot: RemoteRobot) -> float:
    """ms from SIGSTOP until the driver is gone."""
    pid = robot._link.info.pid
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    while not robot.read().fault:
        time.sleep(0.001)
    return 1e3 * (time.monotonic() - began)


def verdict(worst_ms: float) -> str:
    words = "" if worst_ms < LATE_MS else "  INCONCLUSIVE"
    return f"probe at most {worst_ms:.1f} ms late{words}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=500)
    parser.add_argument("--deaths", type=int, default=5)
    parser.add_argument("--no-fifo", action="store_true")
    options = parser.parse_args()
    probe, robot = Probe(), started(fifo=not options.no_fifo).robot
    assert isinstance(robot, RemoteRobot)
    ask_for_priority(fifo=not options.no_fifo, nice=0)
    probe.worst()
    times = latencies(robot, options.commands)
    p50, p99 = np.percentile(times, [50, 99])
    print(f"command: p50 {p50:.2f} ms, p99 {p99:.2f} ms of {len(times)}; {verdict(probe.worst())}")
    for _ in range(options.deaths):
        probe.worst()
        late = kill_time(robot)
        print(f"hang: noticed after {late:.0f} ms; {verdict(probe.worst())}")
        robot.rearm()
    robot.close()


if __name__ == "__main__":
    main()
