"""SafeRobot: a `Robot` around a robot, through which every setpoint passes at 50 Hz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from robot_rl.drivers.limits import Limits
from robot_rl.drivers.safety import (
    Quaternion,
    Vector3,
    check_command,
    check_force_bound,
    clamp_orientation,
    clamp_position,
    joint_headroom,
)
from robot_rl.drivers.setpoint import SetpointLimiter
from robot_rl.drivers.watch import StateWatch
from robot_rl.errors import PoisonedDataError, RobotFault, SafetyError
from robot_rl.interfaces import Capability, Clock, Robot
from robot_rl.types import Array, CartesianCommand, Command, LimitStage, RobotState

PERIOD_NS = 20_000_000
"""50 Hz; the 1 kHz loop belongs to MuJoCo or the vendor."""


class SafeRobot:
    """Limits, watchdog and latched faults around a `Robot`; is one itself.

    robot = SafeRobot(SimRobot(world), limits)
    robot.connect()
    robot.move_to(pose, width)
    robot.command(CartesianCommand(...))             # the goal
    robot.clock.sleep_until(...)            # ticks run: goal -> limiter -> setpoint -> inner robot

    Order of a command: fault, finite and shape, staleness, workspace and orientation. Order of a
    tick: measured state, watchdog, leash to the measured pose (force), velocity, acceleration and
    jerk, walls. `read().setpoint` is what was emitted; `limiting_stage` the first stage that keeps
    it from the goal. This is not a functional-safety system.
    """

    def __init__(
        self,
        inner: Robot,
        limits: Limits,
        *,
        stream_resets: bool = True,
        self_ticking: bool = True,
        rearm_on_reset: bool = False,
    ) -> None:
        """SafetyError when the inner robot's stiffness x clip exceeds `limits.max_force`.

        `stream_resets`: `move_to` runs through the limiter; else it is the inner robot's own.
        `rearm_on_reset`: `move_to` clears a latched fault; for a simulated robot only, where no
        person stands by and nothing can be hurt.
        `self_ticking`: the clock calls `tick`; a driver process with a loop of its own does not.
        """
        if Capability.CARTESIAN_IMPEDANCE in inner.capabilities:
            check_force_bound(inner.gains, limits)
        self._inner = inner
        self._limits = limits
        self._stream_resets = stream_resets
        self._rearm_on_reset = rearm_on_reset
        self._self_ticking = self_ticking
        self._boot_id = 0
        self._registered = False
        self._arms = [
            SetpointLimiter(limits, inner.gains, PERIOD_NS / 1e9) for _ in range(inner.n_arms)
        ]
        self._connected = False
        self._fault = ""
        self._asked = LimitStage.NONE
        self._following = False
        self._suspended = True
        self._command_ns = 0
        self._watch = StateWatch(limits, PERIOD_NS / 1e9)
        self._gripper = np.zeros(inner.n_arms)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def n_arms(self) -> int:
        return self._inner.n_arms

    @property
    def capabilities(self) -> Capability:
        return self._inner.capabilities

    @property
    def clock(self) -> Clock:
        return self._inner.clock

    @property
    def gripper_range(self) -> tuple[float, float]:
        return self._inner.gripper_range

    @property
    def gains(self) -> Mapping[str, float]:
        return self._inner.gains

    def connect(self) -> None:
        """Connects, and holds where the arm is. Re-arms. RobotFault outside the workspace."""
        self._inner.connect()
        self._connected = True
        self._fault = ""
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
            fault=self._fault or state.fault,
        )

    def command(self, command: Command) -> None:
        """Sets the goal. RobotFault while a fault is latched, PoisonedDataError on NaN."""
        self._require_ready()
        try:
            command = check_command(command, self.n_arms)
        except PoisonedDataError:
            self._asked = LimitStage.FINITE
            raise
        now = self.clock.now_ns()
        if not 0 <= now - command.stamp_ns <= self._limits.stale_after_ns:
            self._asked = LimitStage.STALE
            return
        self._asked = LimitStage.NONE
        for arm, pose in zip(self._arms, command.pose.tolist(), strict=True):
            position, quat, stage = self._clamped(pose)
            arm.follow(position, quat)
            self._asked = max(self._asked, stage)
        self._gripper = np.clip(command.gripper, *self.gripper_range)
        self._command_ns = now
        self._following = True

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """Rests at `pose`; SafetyError outside the workspace, RobotFault when it is not reached."""
        if self._rearm_on_reset and self._connected:
            self._fault = ""
        self._require_ready()
        check_command(
            CartesianCommand(pose, self._gripper if gripper is None else gripper, 0), self.n_arms
        )
        goals = [self._clamped(row) for row in pose.tolist()]
        if any(stage is not LimitStage.NONE for _, _, stage in goals):
            raise SafetyError(
                f"move_to {np.round(pose, 4).tolist()} is outside the workspace; valid: "
                f"{self._limits.workspace_low} … {self._limits.workspace_high}, at most "
                f"{self._limits.max_rotation} rad from {self._limits.orientation}"
            )
        self._suspended = True
        try:
            if not self._stream_resets:
                self._inner.move_to(pose, gripper)
        finally:
            self._seed()
        if self._stream_resets:
            self._stream(pose, gripper)
            self._seed()

    def stop(self) -> None:
        """Brakes the setpoint to rest and drops every goal."""
        self._require_connection()
        self._following = False
        for arm in self._arms:
            arm.hold()

    def trip(self, reason: str) -> None:
        """Latches a fault for a reason from outside, an emergency stop for example."""
        self._require_connection()
        self._latch(reason)

    def rearm(self) -> None:
        """Clears a latched fault, by a person's decision only; holds where the arm is."""
        self._require_connection()
        self._seed()
        self._fault = ""

    def close(self) -> None:
        if self._connected:
            self._connected = False
            self._suspended = True
            self._inner.close()

    def tick(self) -> None:
        """One 50 Hz step of the safety layer; called by the clock or by a driver process."""
        if self._suspended or self._fault:
            return
        state = self._inner.read()
        if state.boot_id != self._boot_id:
            self._seed()
        if reason := self._watch.reason(state):
            self._latch(reason)
            return
        if self._following:
            age = self.clock.now_ns() - self._command_ns
            if age >= self._limits.stop_after_ns:
                self._latch(f"watchdog: no command for {age / 1e6:.0f} ms")
                return
            if age >= self._limits.hold_after_ns:
                self._asked = LimitStage.WATCHDOG
                for arm in self._arms:
                    arm.hold()
        poses = [
            arm.step(pose, twist, joint_headroom(q, dq, self._limits))
            for arm, pose, twist, q, dq in zip(
                self._arms,
                state.pose.tolist(),
                state.twist.tolist(),
                state.q.tolist(),
                state.dq.tolist(),
                strict=True,
            )
        ]
        self._inner.command(CartesianCommand(np.array(poses), self._gripper, state.stamp_ns))

    def _clamped(self, pose: Sequence[float]) -> tuple[Vector3, Quaternion, LimitStage]:
        """A goal (7,) held inside the workspace, and whether that changed it."""
        x, y, z, qw, qx, qy, qz = pose
        position = clamp_position((x, y, z), self._limits)
        quat = clamp_orientation((qw, qx, qy, qz), self._limits)
        same = position == (x, y, z) and quat == (qw, qx, qy, qz)
        return position, quat, LimitStage.NONE if same else LimitStage.WORKSPACE

    def _stage(self) -> LimitStage:
        if self._fault:
            return LimitStage.FAULT
        if self._asked is not LimitStage.NONE or not self._following:
            return self._asked
        return min((s for arm in self._arms if (s := arm.stage)), default=LimitStage.NONE)

    def _latch(self, reason: str) -> None:
        self._fault = reason
        self._following = False
        self._inner.stop()

    def _seed(self) -> None:
        """Holds the inner robot's setpoint, at rest; RobotFault when it is outside the limits."""
        state = self._inner.read()
        self._boot_id = state.boot_id
        for arm, pose in zip(self._arms, state.setpoint.tolist(), strict=True):
            arm.seed(pose)
        self._gripper = np.clip(state.gripper_setpoint, *self.gripper_range)
        self._asked = LimitStage.NONE
        self._following = False
        self._suspended = False
        self._watch.reset()

    def _stream(self, pose: Array, gripper: Array | None) -> None:
        """Drives to `pose` through the limiter and waits until the arm rests there."""
        for arm, goal in zip(self._arms, pose.tolist(), strict=True):
            position, quat, _ = self._clamped(goal)
            arm.follow(position, quat)
        if gripper is not None:
            self._gripper = np.clip(gripper, *self.gripper_range)
        deadline = self.clock.now_ns() + 20_000_000_000
        while self.clock.now_ns() < deadline and not self._fault:
            self.clock.sleep_until(self.clock.now_ns() + PERIOD_NS)
            state = self._inner.read()
            if all(
                arm.resting_at(measured, twist)
                for arm, measured, twist in zip(
                    self._arms, state.pose.tolist(), state.twist.tolist(), strict=True
                )
            ):
                return
        self._latch(self._fault or f"move_to {np.round(pose, 4).tolist()} was not reached")
        raise RobotFault(self._fault)

    def _require_connection(self) -> None:
        if not self._connected:
            raise RobotFault("the robot is not connected; call connect() first")

    def _require_ready(self) -> None:
        self._require_connection()
        if self._fault:
            raise RobotFault(f"{self._fault}; a person re-arms")
