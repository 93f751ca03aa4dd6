"""A stop from another thread takes effect within one tick, wherever the robot is: twins included.

Time is the stepped clock of a fake arm or of the simulation; nothing waits for the wall. The fake
arm below knows no stop of its own, so what holds it is the safety layer alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread

import numpy as np
import pytest
from fault_guards import without
from test_commands import Broken

from robot_rl.drivers.limits import FR3, limits_within
from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.safe_robot import PERIOD_NS, SafeRobot
from robot_rl.errors import RobotFault
from robot_rl.interfaces import Robot
from robot_rl.testing.fakes import FakeRobot
from robot_rl.types import CartesianCommand, Command, Scene

FAR = np.array([[0.6, 0.2, 0.2, 0.0, 1.0, 0.0, 0.0]])
OPEN = np.array([0.08])


class DeafArm(FakeRobot):
    """Knows no stop of its own; keeps when it was commanded and when it was held."""

    def __init__(self) -> None:
        super().__init__(speed=100.0, angular_speed=100.0)
        self.commanded_ns: list[int] = []
        self.held_ns: list[int] = []

    def trip(self, reason: str) -> None:
        pass

    def command(self, command: Command) -> None:
        super().command(command)
        self.commanded_ns.append(self.clock.now_ns())

    def stop(self) -> None:
        super().stop()
        self.held_ns.append(self.clock.now_ns())


class Tripper:
    """Trips a robot from a thread of its own at the n-th 20 ms of its clock from now."""

    def __init__(self, robot: Robot, after: int) -> None:
        self._robot, self._left = robot, after
        self.at_ns = -1
        robot.clock.every(PERIOD_NS, self._count)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.at_ns = self._robot.clock.now_ns()
            thread = Thread(target=self._robot.trip, args=("emergency stop",))
            thread.start()
            thread.join()


def fake(*, rearm_on_reset: bool = False) -> tuple[SafeRobot, DeafArm]:
    limits = limits_within(
        FR3,
        workspace_low=(0.3, -0.3, 0.0),
        workspace_high=(0.7, 0.3, 0.5),
        max_rotation=0.8,
        max_force=20.0,
        force_trip=40.0,
        velocity=0.4,
        angular_velocity=1.5,
    )
    limits = replace(limits, joint_low=(-3.0,) * 7, joint_high=(3.0,) * 7)
    arm = DeafArm()
    robot = SafeRobot(arm, (limits,), rearm_on_reset=rearm_on_reset)
    robot.connect()
    return robot, arm


def require_held(robot: Robot, arm: DeafArm, stop: Tripper) -> None:
    """Not one command after the tick in which the stop fell, and held by the next."""
    robot.clock.sleep_until(stop.at_ns + 20 * PERIOD_NS)
    after = [at for at in arm.commanded_ns if at > stop.at_ns]
    if after:
        raise Broken(f"{len(after)} commands after the stop")
    if not any(0 <= at - stop.at_ns <= PERIOD_NS for at in arm.held_ns):
        raise Broken(f"stopped at {stop.at_ns}, held at {arm.held_ns}")
    if robot.read().fault != "emergency stop":
        raise Broken(f"the fault shown is '{robot.read().fault}'")


def in_a_tick() -> None:
    """A goal is being followed; no further command comes."""
    robot, arm = fake()
    robot.command(CartesianCommand(FAR, OPEN, robot.clock.now_ns()))
    stop = Tripper(robot, after=3)
    robot.clock.sleep_until(robot.clock.now_ns() + 4 * PERIOD_NS)
    require_held(robot, arm, stop)


def before_a_command() -> None:
    """No tick lies between the stop and the next command."""
    robot, arm = fake()
    robot.clock.sleep_until(10 * PERIOD_NS)
    thread = Thread(target=robot.trip, args=("emergency stop",))
    thread.start()
    thread.join()
    try:
        robot.command(CartesianCommand(FAR, OPEN, robot.clock.now_ns()))
    except RobotFault:
        assert arm.held_ns == [robot.clock.now_ns()]
        return
    raise Broken("a command after the stop was taken")


def in_a_streamed_move() -> None:
    robot, arm = fake()
    stop = Tripper(robot, after=5)
    try:
        robot.move_to(FAR)
    except RobotFault:
        if robot.clock.now_ns() - stop.at_ns > 2 * PERIOD_NS:
            raise Broken("the move went on after the stop") from None
        require_held(robot, arm, stop)
        return
    raise Broken("the move ended as if it had not been stopped")


def at_rest() -> None:
    """Nothing was commanded; the ticks hold the setpoint, and from the stop on none is sent."""
    robot, arm = fake()
    stop = Tripper(robot, after=3)
    robot.clock.sleep_until(10 * PERIOD_NS)
    require_held(robot, arm, stop)


def in_the_arms_own_move() -> None:
    """The simulated arm drives a reset itself, behind the safety layer's back."""
    bundle = make(teleport_resets=False)
    assert bundle.world is not None
    bundle.world.build(Scene(""))
    inner = bundle.robot._inner  # type: ignore[attr-defined]
    robot = SafeRobot(inner, bundle.robot.limits, stream_resets=False)
    robot.connect()
    stop = Tripper(robot, after=10)
    with suppress(RobotFault):
        robot.move_to(np.array([[0.5, 0.2, 0.3, 0.0, 1.0, 0.0, 0.0]]))
    if robot.clock.now_ns() - stop.at_ns > 2 * PERIOD_NS:
        raise Broken("the arm's own move went on after the stop")
    state = robot.read()
    assert state.fault == "emergency stop"
    robot.clock.sleep_until(robot.clock.now_ns() + 50 * PERIOD_NS)
    moved = float(np.abs(robot.read().pose - state.pose)[0, :3].max())
    if moved > 0.02:
        raise Broken(f"the arm moved on by {moved:.3f} m")


def from_a_thread_that_runs_free() -> None:
    """Whenever `trip` has returned before a tick begins, that tick commands nothing; 30 times."""
    for k in range(30):
        robot, arm = fake()
        tripped = Event()

        def stop(robot: SafeRobot = robot, tripped: Event = tripped) -> None:
            robot.trip("emergency stop")
            tripped.set()

        thread = Thread(target=stop)
        seen = 0
        for tick in range(100_000):
            if tick == k:
                thread.start()
            before, count = tripped.is_set(), len(arm.commanded_ns)
            with suppress(RobotFault):
                robot.command(CartesianCommand(FAR, OPEN, robot.clock.now_ns()))
            robot.clock.sleep_until(robot.clock.now_ns() + PERIOD_NS)
            if before and len(arm.commanded_ns) > count:
                raise Broken("a command in a tick that began after the stop")
            seen += before
            if seen == 3:
                break
        thread.join()
        assert seen == 3


PLACES: dict[Callable[[], None], str] = {
    in_a_tick: "stops_are_obeyed",
    before_a_command: "stops_are_obeyed",
    in_a_streamed_move: "stops_are_obeyed",
    at_rest: "stops_are_obeyed",
    from_a_thread_that_runs_free: "stops_are_obeyed",
    in_the_arms_own_move: "an_arms_own_move_obeys_stops",
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_stop_takes_effect_within_one_tick(place: Callable[[], None]) -> None:
    place()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_stop_takes_effect_within_one_tick_twin(place: Callable[[], None]) -> None:
    with without(PLACES[place]), pytest.raises(Broken):
        place()


def rearmed_only_by_a_person() -> None:
    """A reset in simulation clears what the layer found itself, never a stop."""
    robot, _ = fake(rearm_on_reset=True)
    robot.trip("emergency stop")
    try:
        robot.move_to(FAR)
    except RobotFault:
        return
    raise Broken("a reset cleared a person's stop")


def test_a_reset_clears_no_stop() -> None:
    rearmed_only_by_a_person()


def test_a_reset_clears_no_stop_twin() -> None:
    with without("resets_clear_no_stop"), pytest.raises(Broken, match="cleared"):
        rearmed_only_by_a_person()
