"""SafeRobot: a `Robot` around a robot, through which every setpoint passes at 50 Hz."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.drivers.joint_space import JointSpace
from robot_rl.drivers.robot_layer import RobotLayer
from robot_rl.drivers.safety import check_force_bound
from robot_rl.drivers.spaces import CartesianSpace, CommandSpace
from robot_rl.drivers.watch import StateWatch
from robot_rl.errors import PoisonedDataError, RobotFault, SafetyError
from robot_rl.fault_latch import FaultLatch
from robot_rl.interfaces import Capability, Robot
from robot_rl.limits import Limits
from robot_rl.types import Array, Command, LimitStage, RobotState

PERIOD_NS = 20_000_000
"""50 Hz; the 1 kHz loop belongs to MuJoCo or the vendor."""
SPACES = Capability.CARTESIAN_IMPEDANCE | Capability.JOINT


class SafeRobot(RobotLayer):
    """Limits, watchdog and latched faults around a `Robot`; is one itself.

    robot = SafeRobot(SimRobot(world), (limits,))
    robot.connect()
    robot.move_to(pose, width)
    robot.command(CartesianCommand(...))    # the goal
    robot.clock.sleep_until(...)            # ticks run: goal -> limiter -> setpoint -> inner robot

    Order of a command: fault, finite and shape, staleness, workspace and orientation. Order of a
    tick: stops from other threads, measured state, watchdog, then the limiter in the space that the
    inner robot is commanded in: clip to what is measured (force), velocity, acceleration and jerk,
    walls. `read().setpoint` is what was emitted; `limiting_stage` the first stage that keeps it
    from the goal. This is not a functional-safety system.
    """

    def __init__(
        self,
        inner: Robot,
        limits: Sequence[Limits],
        *,
        stream_resets: bool = True,
        self_ticking: bool = True,
        rearm_on_reset: bool = False,
    ) -> None:
        """limits: one each arm. SafetyError when their number is another, when the inner robot's
        stiffness x clip exceeds `max_force`, or when it is commanded in two spaces.

        `stream_resets`: `move_to` runs through the limiter; else it is the inner robot's own.
        `rearm_on_reset`: `move_to` clears a fault that the safety layer found itself; for a
        simulated robot only, where no person stands by. A stop (`trip`) is never cleared so.
        `self_ticking`: the clock calls `tick`; a driver process with a loop of its own does not.
        """
        if len(limits) != inner.n_arms:
            raise SafetyError(f"limits of {len(limits)} arms; valid: {inner.n_arms}, one each arm")
        if SPACES in inner.capabilities:
            raise SafetyError("a robot claims CARTESIAN_IMPEDANCE and JOINT; valid: one of them")
        if Capability.CARTESIAN_IMPEDANCE in inner.capabilities:
            for arm in limits:
                check_force_bound(inner.gains, arm)
        super().__init__(inner)
        self._limits = tuple(limits)
        self._stale_ns = min(arm.stale_after_ns for arm in limits)
        self._hold_ns = min(arm.hold_after_ns for arm in limits)
        self._stop_ns = min(arm.stop_after_ns for arm in limits)
        self._stream_resets = stream_resets
        self._rearm_on_reset = rearm_on_reset
        self._self_ticking = self_ticking
        self._boot_id = 0
        self._registered = False
        self._connected = False
        self._fault = FaultLatch()
        self._asked = LimitStage.NONE
        self._following = False
        self._suspended = True
        self._command_ns = 0
        self._watch = StateWatch(limits, PERIOD_NS / 1e9)
        self._gripper = np.zeros(inner.n_arms)

    @property
    def limits(self) -> tuple[Limits, ...]:
        return self._limits

    def connect(self) -> None:
        """Connects, and holds where the arm is. Re-arms. RobotFault outside the workspace."""
        self._fault.clear()
        self._inner.connect()
        self._connected = True
        joint = Capability.JOINT in self.capabilities
        kind = JointSpace if joint else CartesianSpace
        self._space: CommandSpace = kind(self._inner, self._limits, PERIOD_NS / 1e9)
        self._seed()
        if self._self_ticking and not self._registered:
            self.clock.every(PERIOD_NS, self.tick)
            self._registered = True

    def read(self) -> RobotState:
        state = self._inner.read()
        return RobotState(
            stamp_ns=state.stamp_ns,
            boot_id=state.boot_id,
            q=state.q,
            dq=state.dq,
            tau=state.tau,
            pose=state.pose,
            twist=state.twist,
            wrench=state.wrench,
            gripper_width=state.gripper_width,
            setpoint=state.setpoint,
            gripper_setpoint=state.gripper_setpoint,
            limiting_stage=self._stage(),
            fault=self._fault.shown or state.fault,
            joint_setpoint=state.joint_setpoint,
        )

    def command(self, command: Command) -> None:
        """Sets the goal. RobotFault while a fault is latched, PoisonedDataError on NaN."""
        self._require_ready()
        try:
            command = self._space.check(command)
        except PoisonedDataError:
            self._asked = LimitStage.FINITE
            raise
        now = self.clock.now_ns()
        if not 0 <= now - command.stamp_ns <= self._stale_ns:
            self._asked = LimitStage.STALE
            return
        self._asked = self._space.follow(command)
        self._gripper = np.clip(command.gripper, *self.gripper_range)
        self._command_ns = now
        self._following = True

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """Rests at `pose`; SafetyError outside the workspace, RobotFault when it is not reached."""
        if self._rearm_on_reset and self._connected:
            self._obey()
            self._fault.forgive()
        self._require_ready()
        goal = self._space.goal(pose, self._gripper if gripper is None else gripper)
        self._suspended = True
        try:
            if not self._stream_resets:
                self._inner.move_to(pose, gripper)
        finally:
            self._seed()
            self._obey()
        if self._stream_resets:
            self._stream(goal, np.round(pose, 4).tolist())
            self._seed()
        self._require_ready()

    def stop(self) -> None:
        """Brakes the setpoint to rest and drops every goal."""
        self._require_connection()
        self._following = False
        self._space.hold()

    def trip(self, reason: str) -> None:
        """Latches a fault for a reason from outside, an emergency stop for example. Any thread:
        the next tick, `command` and `move_to` obey it; so does the inner robot by itself, which may
        be in a move of its own."""
        self._fault.trip(reason)
        self._inner.trip(reason)

    def rearm(self) -> None:
        """Clears a latched fault, by a person's decision only; holds where the arm is."""
        self._require_connection()
        if not self._fault.shown and not self._inner.read().fault:
            return
        self._fault.clear()
        self._suspended = True  # time may pass in the inner robot's recovery
        try:
            self._inner.rearm()
            self._inner.stop()
            self._seed()
        except RobotFault as error:
            self._latch(str(error))
            raise

    def close(self) -> None:
        if self._connected:
            self._connected = False
            self._suspended = True
            self._inner.close()

    def tick(self) -> None:
        """One 50 Hz step of the safety layer; called by the clock or by a driver process."""
        if self._suspended or self._obey():
            return
        state = self._inner.read()
        if state.boot_id != self._boot_id:
            self._seed()
        if reason := self._watch.reason(state):
            self._latch(reason)
            return
        if self._following:
            age = self.clock.now_ns() - self._command_ns
            if age >= self._stop_ns:
                self._latch(f"watchdog: no command for {age / 1e6:.0f} ms")
                return
            if age >= self._hold_ns:
                self._asked = LimitStage.WATCHDOG
                self._space.hold()
        try:
            self._inner.command(self._space.step(state, self._gripper))
        except RobotFault as error:  # it was tripped, or failed, since it was read
            self._latch(str(error))

    def _stage(self) -> LimitStage:
        if self._fault.shown:
            return LimitStage.FAULT
        if self._asked is not LimitStage.NONE or not self._following:
            return self._asked
        return self._space.stage

    def _obey(self) -> bool:
        """Holds for a stop that any thread asked for; whether a fault is latched."""
        if self._fault.obey():
            self._latch(self._fault.reason)
        return bool(self._fault.reason)

    def _latch(self, reason: str) -> None:
        self._fault.latch(reason)
        self._following = False
        self._inner.stop()

    def _seed(self) -> None:
        """Holds the inner robot's setpoint, at rest; RobotFault when it is outside the limits."""
        state = self._inner.read()
        self._boot_id = state.boot_id
        self._space.seed(state)
        self._gripper = np.clip(state.gripper_setpoint, *self.gripper_range)
        self._asked = LimitStage.NONE
        self._following = False
        self._suspended = False
        self._watch.reset()

    def _stream(self, goal: Command, shown: object) -> None:
        """Drives to a goal through the limiter and waits until the arm rests there."""
        self._space.follow(goal)
        self._gripper = np.clip(goal.gripper, *self.gripper_range)
        deadline = self.clock.now_ns() + 20_000_000_000
        while self.clock.now_ns() < deadline:
            self.clock.sleep_until(self.clock.now_ns() + PERIOD_NS)
            if self._obey():
                break
            if self._space.resting(self._inner.read()):
                return
        self._latch(f"move_to {shown} was not reached")
        raise RobotFault(self._fault.reason)

    def _require_connection(self) -> None:
        if not self._connected:
            raise RobotFault("the robot is not connected; call connect() first")

    def _require_ready(self) -> None:
        self._require_connection()
        if self._obey():
            raise RobotFault(f"{self._fault.reason}; a person re-arms")
