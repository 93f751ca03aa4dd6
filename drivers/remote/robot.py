"""RemoteRobot: a `Robot` whose device and safety layer live in a driver process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
import numpy as np

from robot_rl.drivers.remote.link import DriverLink
from robot_rl.drivers.remote.messages import Info, Request
from robot_rl.drivers.remote.page import (
    Phase,
    command_dtype,
    put_command,
    take_state,
)
from robot_rl.drivers.safety import check_command, check_poses
from robot_rl.errors import RobotFault
from robot_rl.fault_latch import FaultLatch
from robot_rl.interfaces import Capability, Kinematics
from robot_rl.limits import Limits
from robot_rl.timing import NS
from robot_rl.types import Array, CartesianCommand, Command, RobotState

POLL_S = 0.0005
"""How often a clock that the driver keeps is looked at."""


class RemoteClock:
    """The robot's time as its driver tells it: the host's, a simulation's, or one that waits."""

    def __init__(self, link: DriverLink) -> None:
        self._link = link

    @property
    def boot_id(self) -> int:
        return int(self._link.record()["clock_boot"])

    def now_ns(self) -> int:
        if self._link.info.host_clock:
            return time.monotonic_ns()
        return int(self._link.record()["clock_ns"])

    def sleep_until(self, stamp_ns: int) -> None:
        """RobotFault when the driver ends meanwhile."""
        if self._link.info.stepped:
            if self.now_ns() < stamp_ns:
                self._link.ask(Request("advance", number=stamp_ns))
            return
        while (left := stamp_ns - self.now_ns()) > 0:
            if self._link.info.host_clock:
                time.sleep(left / NS)
                continue
            if reason := self._link.silence():
                raise RobotFault(reason)
            time.sleep(POLL_S)

    def every(self, period_ns: int, call: Callable[[], None]) -> None:
        raise TypeError("a remote clock runs no callbacks: the driver process has its own loop")


class RemoteKinematics:
    """The kinematics of a robot in a driver process; a question each call."""

    def __init__(self, link: DriverLink) -> None:
        self._link = link

    @property
    def reach(self) -> float:
        return self._link.info.reach

    def forward(self, arm: int, q: Sequence[float]) -> Sequence[float]:
        return self._link.ask(Request("forward", number=arm, rows=[list(q)])).rows[0]

    def inverse(self, arm: int, pose: Array, near: Array) -> tuple[Array, float]:
        rows = [np.asarray(pose).tolist(), np.asarray(near).tolist()]
        q, away = self._link.ask(Request("inverse", number=arm, rows=rows)).rows
        return np.array(q), away[0]


class RemoteRobot:
    """A client of a driver process. One thread uses it; `trip` is for any.

    State and commands go through shared memory, and reading never waits. A driver that is silent
    or has ended is a latched fault: `read` shows it, `command` refuses, and `rearm` (a person's
    decision) starts the driver anew.
    """

    def __init__(self, link: DriverLink) -> None:
        self._link = link
        self._clock = RemoteClock(link)
        self._latch = FaultLatch()
        self._connected = False
        self._lost = ""
        self._last: RobotState | None = None
        self._new_record()

    @property
    def n_arms(self) -> int:
        return self._link.info.arms

    @property
    def capabilities(self) -> Capability:
        return Capability(self._link.info.capabilities)

    @property
    def clock(self) -> RemoteClock:
        return self._clock

    @property
    def base_poses(self) -> Array:
        return np.array(self._link.info.base_poses)

    @property
    def gripper_range(self) -> tuple[Array, Array]:
        closed, opened = self._link.info.gripper_range
        return np.array(closed), np.array(opened)

    @property
    def limits(self) -> tuple[Limits, ...]:
        return self._link.info.limits

    @property
    def kinematics(self) -> Kinematics | None:
        return RemoteKinematics(self._link) if self._link.info.reach > 0.0 else None

    @property
    def gains(self) -> Mapping[str, float]:
        return self._link.info.gains

    @property
    def progress(self) -> tuple[Phase, float]:
        """What the driver does; of a `move_to`, the share of the way that lies behind."""
        record = self._link.record()
        return Phase(int(record["phase"])), float(record["progress"])

    def connect(self) -> None:
        self._link.begin()
        self._new_record()
        answer = self._link.ask(Request("connect"))
        self._link.info = msgspec.json.decode(answer.text, type=Info)
        self._latch.clear()
        self._lost, self._connected = "", True
        self._last = None

    def read(self) -> RobotState:
        self._require_connection()
        if not self._lost:
            self._lost = self._link.silence()
        state = take_state(self._link.record())
        self._last = state
        fault = self._lost or self._latch.shown or state.fault
        return state if fault == state.fault else _faulty(state, fault)

    def command(self, command: Command) -> None:
        """As SafeRobot's; what only the driver can find out is seen as a fault a moment later."""
        self._require_ready()
        checked = check_command(command, self.n_arms, self._link.info.joints)
        record = self._record
        put_command(record, checked)
        record["number"] += 1
        self._link.page.command.write(record)

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """A request to the driver; ends with RobotFault once `trip` was called from any thread."""
        self._require_connection()
        pose = np.asarray(pose)
        check_poses(pose, self.n_arms, "move_to")
        rows = pose.tolist()
        if gripper is not None:
            widths = np.asarray(gripper)
            check_command(CartesianCommand(pose, widths, 0), self.n_arms, self._link.info.joints)
            rows.append(widths.tolist())
        self._link.ask(Request("move_to", number=int(gripper is not None), rows=rows))
        self._latch.forgive()

    def stop(self) -> None:
        self._require_connection()
        self._link.ask(Request("stop"))

    def trip(self, reason: str) -> None:
        """Any thread: the driver obeys at its next look, in a move too."""
        self._latch.trip(reason)
        self._link.page.stop(reason or "stopped")

    def rearm(self) -> None:
        """A driver that has ended is started anew; its robot then holds where the arm is."""
        self._require_connection()
        if self._lost or not self._link.open:
            self._link.end()
            self.connect()
            return
        self._link.ask(Request("rearm"))
        self._latch.clear()

    def close(self) -> None:
        if self._connected:
            self._connected = False
            with suppress(RobotFault):  # a driver that has ended has left the robot already
                self._link.ask(Request("close"))
        self._link.end()

    def _new_record(self) -> None:
        info = self._link.info
        self._record = np.zeros((), command_dtype(info.arms, info.joints))

    def _require_connection(self) -> None:
        if not self._connected:
            raise RobotFault("the robot is not connected; call connect() first")

    def _require_ready(self) -> None:
        self._require_connection()
        if fault := self.read().fault:
            raise RobotFault(f"{fault}; a person re-arms")


def _faulty(state: RobotState, fault: str) -> RobotState:
    """The same reading, with the reason why nothing moves."""
    fields = {name: getattr(state, name) for name in RobotState.__slots__}
    return RobotState(**{**fields, "fault": fault})
