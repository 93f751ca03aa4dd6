"""The conformance suite: the project's robots pass it, and robots with a planted bug do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.drivers.mujoco.model import Gains, JointGains
from robot_rl.drivers.mujoco.robot import SimRobot
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.drivers.safe_robot import SafeRobot
from robot_rl.errors import RobotFault
from robot_rl.interfaces import Capability, Kinematics, Robot
from robot_rl.limits import Limits
from robot_rl.testing.check_robot import (
    BARE_CHECKS,
    ROBOT_CHECKS,
    ConformanceError,
    check_name,
    check_robot,
)
from robot_rl.testing.fakes import FakeRobot
from robot_rl.testing.robot_checks import Probe
from robot_rl.testing.robot_device_checks import IMPEDANCE_GAINS
from robot_rl.types import (
    Array,
    CartesianCommand,
    Command,
    JointCommand,
    LimitStage,
    RobotState,
    Scene,
)


def simulated(**options: Any) -> Robot:
    bundle = make(**options)
    assert bundle.world is not None
    bundle.world.build(Scene(""))
    return bundle.robot


def bare(gains: Gains | JointGains | None = None, *, teleport_resets: bool = True) -> SimRobot:
    world = SimWorld(gains)
    world.build(Scene(""))
    return SimRobot(world, teleport_resets=teleport_resets)


@pytest.mark.parametrize("check", ROBOT_CHECKS, ids=check_name)
def test_simulated_fr3_conforms(check: Callable[[Probe], None]) -> None:
    check(Probe(simulated))


@pytest.mark.parametrize(
    "options",
    [
        {"teleport_resets": False},
        {"variant": "panda"},
        {"joint_control": True},
        {"joint_control": True, "teleport_resets": False, "variant": "panda"},
    ],
    ids=str,
)
def test_variants_conform(options: dict[str, Any]) -> None:
    assert len(check_robot(lambda: simulated(**options))) == len(ROBOT_CHECKS)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("teleport", [True, False])
def test_bare_simulated_arm_conforms_as_a_device(teleport: bool, joint: bool) -> None:
    gains = JointGains() if joint else Gains()
    done = check_robot(lambda: bare(gains, teleport_resets=teleport), supervised=False)
    assert len(done) == len(BARE_CHECKS)


class TwoArms(FakeRobot):
    """Two kinematic arms with the gains of an impedance controller, at rest in mid-range."""

    def __init__(self, *, joint: bool = False) -> None:
        super().__init__(n_arms=2, joint=joint)

    @property
    def gains(self) -> Mapping[str, float]:
        if Capability.JOINT in self.capabilities:
            return super().gains
        gains = dict.fromkeys(IMPEDANCE_GAINS, 50.0)
        return gains | {"translational_clip": 0.1, "rotational_clip": 0.2}


@pytest.mark.parametrize("joint", [False, True])
def test_a_robot_of_two_arms_conforms_behind_the_safety_layer(joint: bool) -> None:
    limits = replace(
        limits_of_the_fr3(), joint_low=(-3.0,) * 7, joint_high=(3.0,) * 7, hold_after_ns=140_000_000
    )
    pair = (limits, replace(limits, workspace_high=(0.65, 0.25, 0.5)))
    done = check_robot(lambda: SafeRobot(TwoArms(joint=joint), pair, stream_resets=False))
    assert len(done) == len(ROBOT_CHECKS)


def limits_of_the_fr3() -> Limits:
    robot = simulated()
    assert isinstance(robot, SafeRobot)
    return robot.limits[0]


class Broken(SafeRobot):
    """A simulated arm behind its safety layer, of which a subclass breaks one thing."""

    changes: Mapping[str, Any] = {}

    def __init__(self) -> None:
        super().__init__(
            bare(), (replace(limits_of_the_fr3(), **self.changes),), stream_resets=False
        )


class TakesNaN(Broken):
    def command(self, command: Command) -> None:
        assert isinstance(command, CartesianCommand)
        super().command(
            CartesianCommand(np.nan_to_num(command.pose), command.gripper, command.stamp_ns)
        )


class TakesAnyShape(Broken):
    def command(self, command: Command) -> None:
        pose = np.atleast_2d(command.pose)[:1]
        super().command(CartesianCommand(pose, command.gripper[:1], command.stamp_ns))


class SharesItsArrays(Broken):
    _shared: RobotState | None = None

    def read(self) -> RobotState:
        state = super().read()
        if self._shared is None:
            self._shared = state
        np.copyto(self._shared.pose, state.pose)
        return replace(state, pose=self._shared.pose)


class EchoesItsGoal(Broken):
    _goal: Array | None = None

    def command(self, command: Command) -> None:
        super().command(command)
        self._goal = command.pose

    def read(self) -> RobotState:
        state = super().read()
        return state if self._goal is None else replace(state, setpoint=self._goal)


class ReportsAnotherSetpoint(Broken):
    def read(self) -> RobotState:
        state = super().read()
        return replace(state, setpoint=state.setpoint + 0.001 * np.eye(1, 7))


class HurriesBeyondItsLimits(Broken):
    changes = {"velocity": 3.0, "acceleration": 30.0}  # noqa: RUF012

    @property
    def limits(self) -> tuple[Limits, ...]:
        return (limits_of_the_fr3(),)


class HasNoWalls(Broken):
    changes = {"workspace_high": (9.0, 9.0, 9.0)}  # noqa: RUF012

    @property
    def limits(self) -> tuple[Limits, ...]:
        return (limits_of_the_fr3(),)


class TakesStaleCommands(Broken):
    def command(self, command: Command) -> None:
        super().command(replace(command, stamp_ns=self.clock.now_ns()))


class HasNoWatchdog(Broken):
    changes = {"hold_after_ns": 10**12, "stop_after_ns": 10**13}  # noqa: RUF012


class RearmsItself(Broken):
    def command(self, command: Command) -> None:
        self.rearm()
        super().command(command)


class HidesItsFault(Broken):
    def read(self) -> RobotState:
        return replace(super().read(), fault="", limiting_stage=LimitStage.NONE)


class IgnoresStop(Broken):
    changes = {"hold_after_ns": 10**12, "stop_after_ns": 10**13}  # noqa: RUF012

    def stop(self) -> None:
        pass


class ClosesOnce(Broken):
    _closed = False

    def close(self) -> None:
        super().close()
        if self._closed:
            raise RobotFault("already closed")
        self._closed = True


class TurnsTheGripperRound(Broken):
    def command(self, command: Command) -> None:
        super().command(replace(command, gripper=0.08 - command.gripper))


class ReadsWithoutConnection(Broken):
    def read(self) -> RobotState:
        if not self._connected:
            self.connect()
        return super().read()


class StampsWithAnotherClock(Broken):
    def read(self) -> RobotState:
        return replace(super().read(), boot_id=7)


class MovesInAPoorDirection(Broken):
    def command(self, command: Command) -> None:
        pose = command.pose.copy()
        pose[:, 1] *= 0.5
        super().command(replace(command, pose=pose))


class FeelsAGhost(Broken):
    def read(self) -> RobotState:
        state = super().read()
        return replace(state, wrench=state.wrench + 20.0)


class ReturnsBeforeItRests(Broken):
    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        self.command(CartesianCommand(pose, self.read().gripper_setpoint, self.clock.now_ns()))


class FaultsAtRest(Broken):
    def stop(self) -> None:
        super().stop()
        self._following = True


class HidesItsGains(Broken):
    @property
    def gains(self) -> Mapping[str, float]:
        return {}


class TakesJointCommands(Broken):
    def command(self, command: Command) -> None:
        if not isinstance(command, JointCommand):
            super().command(command)


class OffersKinematics(Broken):
    @property
    def kinematics(self) -> Kinematics | None:
        return FakeRobot(joint=True).kinematics


class KnowsNoStop(Broken):
    def trip(self, reason: str) -> None:
        pass


class EndsItsMoveFirst(Broken):
    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        self.clock.sleep_until(self.clock.now_ns() + 1_000_000_000)
        super().move_to(pose, gripper)


class StopsAtRestOnly(Broken):
    """A stop is forgotten once the arm rests."""

    def stop(self) -> None:
        super().stop()
        self._fault.clear()


PLANTED = {
    TakesJointCommands: "joint_commands",
    OffersKinematics: "kinematics",
    KnowsNoStop: "trip_in_motion",
    EndsItsMoveFirst: "trip_ends_a_move",
    StopsAtRestOnly: "trip_at_rest",
    TakesNaN: "refuses_not_finite",
    TakesAnyShape: "refuses_wrong_shape",
    SharesItsArrays: "reads",
    EchoesItsGoal: "setpoint_is_no_echo",
    ReportsAnotherSetpoint: "setpoint_is_what_was_emitted",
    HurriesBeyondItsLimits: "motion_limits",
    HasNoWalls: "workspace",
    TakesStaleCommands: "stale_command",
    HasNoWatchdog: "silence_holds",
    RearmsItself: "fault_is_latched",
    HidesItsFault: "fault_is_latched",
    IgnoresStop: "stop_holds",
    ClosesOnce: "close",
    TurnsTheGripperRound: "gripper",
    ReadsWithoutConnection: "needs_connection",
    StampsWithAnotherClock: "reads",
    MovesInAPoorDirection: "tracking",
    FeelsAGhost: "wrench",
    ReturnsBeforeItRests: "move_to",
    FaultsAtRest: "rest_is_no_silence",
    HidesItsGains: "declares_itself",
}


@pytest.mark.parametrize(
    ("robot", "name"), PLANTED.items(), ids=lambda x: getattr(x, "__name__", x)
)
def test_a_planted_bug_is_found_and_named(robot: type[Broken], name: str) -> None:
    check = {check_name(check): check for check in ROBOT_CHECKS}[name]
    with pytest.raises(ConformanceError, match=f"1 of 1 checks failed:\n  {name}: "):
        check_robot(robot, checks=[check])


def test_every_check_but_the_clocks_has_a_planted_bug() -> None:
    assert {check_name(check) for check in ROBOT_CHECKS} - set(PLANTED.values()) == {"clock"}


def test_a_clock_that_wakes_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "robot_rl.drivers.mujoco.clock.SimClock.sleep_until", lambda self, stamp_ns: None
    )
    with pytest.raises(ConformanceError, match="clock: sleep_until returned"):
        check_robot(
            simulated, checks=[check for check in ROBOT_CHECKS if check_name(check) == "clock"]
        )
