"""Checks of the stop that any thread may ask for, and of re-arming after it."""

from __future__ import annotations

from threading import Thread

from robot_rl.errors import RobotFault
from robot_rl.testing.robot_checks import POLICY_NS, SAMPLE_NS, Probe, require, require_error
from robot_rl.types import Array

REASON = "stopped by a check"


class Stop:
    """Trips the robot from another thread, `after` samples of the robot's clock from now."""

    def __init__(self, probe: Probe, after: int) -> None:
        self._probe, self._left = probe, after
        self.tripped_ns: int | None = None
        probe.robot.clock.every(SAMPLE_NS, self._count)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.tripped_ns = self._probe.robot.clock.now_ns()
            trip_from_a_thread(self._probe)


def trip_from_a_thread(probe: Probe) -> None:
    """Calls `trip` in a thread of its own and waits until it has returned."""
    thread = Thread(target=probe.robot.trip, args=(REASON,))
    thread.start()
    thread.join()


def check_trip_in_motion(probe: Probe) -> None:
    """A stop from another thread in mid-motion: the setpoint is still after one tick, the arm comes
    to rest, commands and moves are refused, and `rearm` holds where the arm is."""
    start = probe.connect().setpoint
    probe.command(probe.shifted(start, (0.0, 0.05, 0.05, 0.0, 0.0, 0.0)))
    probe.wait(POLICY_NS)
    trip_from_a_thread(probe)
    probe.wait(SAMPLE_NS)
    state = probe.robot.read()
    require(REASON in state.fault, f"state.fault is '{state.fault}' a tick after trip()")
    _require_refused(probe, start)
    probe.wait(5 * POLICY_NS)
    _require_refused(probe, start)
    probe.require_still(5 * POLICY_NS, "after trip()")
    rested = probe.robot.read().pose
    probe.robot.rearm()
    require(not probe.robot.read().fault, "rearm() left the fault")
    probe.require_still(5 * POLICY_NS, "after rearm()")
    away, _ = probe.away(rested, probe.robot.read().setpoint)
    require(away < 2e-3, f"rearm() holds {1e3 * away:.1f} mm from where the arm was")
    probe.follow(start, 15 * POLICY_NS)
    away, _ = probe.away(start, probe.robot.read().pose)
    require(away < 5e-3, "commands after rearm() are not followed")


def check_trip_ends_a_move(probe: Probe) -> None:
    """`move_to` ends with a RobotFault within two ticks of a stop from another thread. (A move that
    places the robot at once cannot be ended: the next call is refused.)"""
    start = probe.connect().setpoint
    stop = Stop(probe, after=5)
    goal = probe.shifted(start, (0.0, 0.05, 0.0, 0.0, 0.0, 0.0))
    ended = False
    try:
        probe.robot.move_to(goal)
    except RobotFault:
        ended = True
    now = probe.robot.clock.now_ns()
    if stop.tripped_ns is None:
        probe.wait(10 * SAMPLE_NS)
    else:
        late = now - stop.tripped_ns
        require(ended, "move_to() returned as if it had not been stopped")
        require(late <= 2 * SAMPLE_NS, f"move_to() went on for {late / 1e6:.0f} ms after trip()")
    _require_refused(probe, start)
    probe.wait(5 * POLICY_NS)
    probe.require_still(5 * POLICY_NS, "after a move that was stopped")


def check_trip_at_rest(probe: Probe) -> None:
    """A stop while nothing is commanded is latched as well, until `rearm` or a reconnection."""
    start = probe.connect().setpoint
    probe.wait(POLICY_NS)
    trip_from_a_thread(probe)
    probe.wait(POLICY_NS)
    _require_refused(probe, start)
    probe.robot.stop()
    _require_refused(probe, start)
    probe.robot.rearm()
    probe.robot.move_to(start)
    require(not probe.robot.read().fault, "the first move after rearm() latched a fault")
    trip_from_a_thread(probe)
    probe.robot.close()
    probe.connect()
    require(not probe.robot.read().fault, "connect() did not re-arm after a stop")
    probe.robot.move_to(start)


def _require_refused(probe: Probe, pose: Array) -> None:
    require(probe.robot.read().fault, "trip() latched no fault: state.fault is empty")
    require_error(lambda: probe.command(pose), RobotFault, "command() after trip()")
    require_error(lambda: probe.robot.move_to(pose), RobotFault, "move_to() after trip()")


STOP_CHECKS = (check_trip_in_motion, check_trip_ends_a_move, check_trip_at_rest)
