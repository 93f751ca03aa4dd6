"""Franka FR3 (and Panda by its limits) through franky: libfranka's 1 kHz loop, in C++.

franky's Cartesian impedance tracker follows the targets that the safety layer emits at 50 Hz, with
velocity feed-forward, an error clip and a posture task in the null space. Nothing recovers by
itself: a reflex, a lost connection or a stop stays until `rearm`.

Needs the extra `franka` (franky-control 2.0: robot system 5.9 or newer). Tried on the vendor's
protocol with an emulator; the Panda by its limits only. Not a functional-safety system: the
vendor's controller and a hardware e-stop stay mandatory.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from robot_rl.drivers.paced_clock import PacedClock
from robot_rl.drivers.robots.franka_config import GRIPPER_RANGE, FrankaConfig
from robot_rl.drivers.robots.franka_gripper import FrankaGripper
from robot_rl.drivers.robots.franka_sdk import (
    SDK_ERRORS,
    affine,
    column_major,
    franky,
    pose_of,
)
from robot_rl.drivers.safety import check_command, check_poses
from robot_rl.errors import ConfigError, RobotFault, SafetyError, SpecError
from robot_rl.fault_latch import FaultLatch
from robot_rl.geometry import (
    IDENTITY,
    pose_difference,
    pose_inverse,
    pose_multiply,
)
from robot_rl.interfaces import Capability, Kinematics
from robot_rl.limits import Limits
from robot_rl.types import Array, CartesianCommand, Command, RobotState

POLL_NS = 10_000_000
SLACK = 5e-3
"""m or rad: by how much the arm's and the twin's tool may differ; a margin at the walls."""
TICK_S = 0.02
FEED_FORWARD_S = 0.05
"""Setpoints further apart than this have no common velocity."""
SETTLE = 200
"""States, 1 ms each."""
LOOK_NS = 25_000_000


class FrankaRobot:
    """One arm under its impedance tracker: the robot below a `SafeRobot`.

    robot = SafeRobot(FrankaRobot(config, limits, kinematics), (limits,), stream_resets=False)

    Resets are joint motions of the vendor's planner, so that the elbow comes back to where the home
    posture has it; their way is checked against the workspace first, by the twin's kinematics.
    """

    def __init__(
        self,
        config: FrankaConfig,
        limits: Limits,
        kinematics: Kinematics,
        clock: PacedClock | None = None,
    ) -> None:
        """ConfigError without the SDK."""
        if franky is None:
            raise ConfigError(
                "robot=fr3 needs the Franka SDK; valid: pip install 'robot-rl[franka]'"
            )
        self._config, self._bounds, self._twin = config, limits, kinematics
        self._clock = clock or PacedClock()
        self._arm: Any = None
        self._hand: FrankaGripper | None = None
        self._tracker: Any = None
        self._stopping = False
        self._latch = FaultLatch()
        self._setpoint, self._width = np.zeros((1, 7)), np.zeros(1)
        self._set_ns = 0
        self._last: RobotState | None = None
        self._arm_time, self._arm_time_ns, self._looked_ns = -1.0, 0, 0

    @property
    def n_arms(self) -> int:
        return 1

    @property
    def capabilities(self) -> Capability:
        claimed = Capability.CARTESIAN_IMPEDANCE | Capability.WRENCH
        return claimed | Capability.GRIPPER if self._config.gripper else claimed

    @property
    def clock(self) -> PacedClock:
        return self._clock

    @property
    def base_poses(self) -> Array:
        return IDENTITY[None].copy()

    @property
    def gripper_range(self) -> tuple[Array, Array]:
        return np.array([GRIPPER_RANGE[0]]), np.array([GRIPPER_RANGE[1]])

    @property
    def limits(self) -> tuple[Limits, ...]:
        return ()

    @property
    def kinematics(self) -> Kinematics | None:
        return None

    @property
    def gains(self) -> Mapping[str, float]:
        names = ("translational", "rotational")
        parts = ("stiffness", "damping", "clip")
        return {f"{n}_{p}": getattr(self._config, f"{n}_{p}") for n in names for p in parts}

    def connect(self) -> None:
        """Connects, sets tool, load and thresholds, and holds under the tracker where the arm is.

        RobotFault when it is not reached, in a reflex, or its tool is not the twin's.
        """
        if self._arm is None:
            self._open()
        self._latch.clear()
        if self._arm.has_errors:
            raise RobotFault(f"the arm reports {self._errors()}; a person clears it in the Desk")
        self._check_tool()
        self._hold()

    def read(self) -> RobotState:
        """While the tracker runs a snapshot at once, else the next of the arm's 1 kHz states; once
        the connection is lost the last one, with the fault."""
        self._require_connection()
        try:
            state = self._arm.state
            ended = self._tracker is not None and not self._tracker.is_running
        except SDK_ERRORS as error:
            self._latch.latch(f"the connection to the arm is lost: {error}")
            if self._last is None:
                raise RobotFault(self._latch.reason) from error
            return replace(self._last, fault=self._latch.shown)
        if ended:
            self._latch.latch(self._ending())
        self._check_fresh(state.time.to_sec())
        measured = self._tool_pose(state)
        if self._config.dry_run:
            self._setpoint[0] = measured
        twist = state.O_dP_EE_est
        self._last = RobotState(
            stamp_ns=self._clock.now_ns(),
            boot_id=self._clock.boot_id,
            q=state.q[None].copy(),
            dq=state.dq[None].copy(),
            tau=state.tau_J[None].copy(),
            pose=measured[None],
            twist=np.zeros((1, 6)) if twist is None else np.r_[twist.linear, twist.angular][None],
            wrench=state.O_F_ext_hat_K[None].copy(),
            gripper_width=np.array([self._hand.width if self._hand else self._width[0]]),
            setpoint=self._setpoint.copy(),
            gripper_setpoint=self._width.copy(),
            fault=self._latch.shown or (self._hand.fault if self._hand else ""),
        )
        return self._last

    def command(self, command: Command) -> None:
        """Moves the tracker's target at once; SafeRobot is what limits it."""
        self._require_connection()
        checked = check_command(command, 1, 7)
        if not isinstance(checked, CartesianCommand):
            raise SpecError("this robot is commanded by poses; valid: CartesianCommand")
        self._require_ready()
        velocity = checked.velocity
        self._target(checked.pose[0], None if velocity is None else velocity[0])
        self._want(float(checked.gripper[0]))

    def move_to(self, pose: Array, gripper: Array | None = None) -> None:
        """A joint motion to where the tool is at `pose` (1, 7), the elbow as it is at home."""
        self._require_connection()
        check_poses(pose, 1, "move_to")
        self._require_ready()
        if self._config.dry_run:
            return
        q, away = self._twin.inverse(0, pose[0], np.array(self._config.home))
        if away > SLACK:
            raise RobotFault(f"{np.round(pose[0], 4).tolist()} is out of reach by {away:.2g}")
        self._check_way(self.read().q[0], q)
        if gripper is not None:
            self._want(float(gripper[0]))
        self._leave_tracker(heed=True)
        speed = self._config.reset_speed
        self._drive(franky.JointMotion(franky.JointState(q), relative_dynamics_factor=speed))
        self._hold()
        away_now = np.abs(pose_difference(self.read().pose[0], pose[0], "base"))
        if away_now.max() > 2 * SLACK:
            raise RobotFault(f"the arm rests {away_now.round(4).tolist()} from its move's pose")

    def stop(self) -> None:
        """The target becomes the measured pose: the springs relax and the arm comes to rest."""
        self._require_connection()
        state = self.read()
        if self._tracker is not None and not state.fault.startswith("the arm"):
            self._set_ns = 0
            self._target(state.pose[0], None)

    def trip(self, reason: str) -> None:
        self._latch.trip(reason)

    def rearm(self) -> None:
        """The vendor's recovery, on request only; then holds where the arm is."""
        self._require_connection()
        try:
            self._leave_tracker()
            if self._arm.has_errors and not self._arm.recover_from_errors():
                raise RobotFault(f"the arm does not recover: {self._errors()}")
        except SDK_ERRORS:
            self._arm = None  # the connection: once more from the beginning
            self._open()
        self._latch.clear()
        self._hold()

    def close(self) -> None:
        if self._arm is None:
            return
        with suppress(RobotFault, *SDK_ERRORS):
            self._leave_tracker()
        if self._hand is not None:
            self._hand.close()
        self._arm = self._hand = self._tracker = None

    def _open(self) -> None:
        config = self._config
        kernel = franky.RealtimeConfig.Enforce if config.real_time else franky.RealtimeConfig.Ignore
        try:
            self._arm = franky.Robot(config.address, realtime_config=kernel)
            if not config.dry_run:
                self._set_up()
        except SDK_ERRORS as error:
            self._arm = None
            raise RobotFault(
                f"no Franka arm at {config.address} ({error}); robot-rl doctor robot=fr3 "
                f"robot.address={config.address} says what is missing"
            ) from error
        if config.gripper and self._hand is None:
            self._hand = FrankaGripper(config.address, config.gripper_speed)
            self._hand.open()
            self._width[0] = self._hand.width

    def _set_up(self) -> None:
        """Tool, load and collision thresholds. The vendor's Desk holds the hand's own load."""
        config, state = self._config, self._arm.state
        nominal = pose_multiply(pose_inverse(pose_of(state.F_T_NE)), np.array(config.tool))
        self._arm.set_ee(column_major(nominal))
        self._arm.set_load(config.load_mass, list(config.load_centre), [0.0] * 9)
        self._arm.set_collision_behavior(
            [config.collision_torque] * 7, [config.collision_force] * 6
        )

    def _tool_pose(self, state: Any) -> Array:
        """(7,) of the tool centre point, base frame; a dry run leaves the arm's own setting."""
        measured = pose_of(state.O_T_EE)
        if not self._config.dry_run:
            return measured
        flange = pose_multiply(measured, pose_inverse(pose_of(state.F_T_EE)))
        return pose_multiply(flange, np.array(self._config.tool))

    def _check_tool(self) -> None:
        """The twin's forward kinematics must agree with the arm's own about the tool."""
        away = np.inf
        for _ in range(SETTLE):  # states that are older than the tool's setting may still come
            state = self._arm.state
            twin = np.array(self._twin.forward(0, state.q.tolist()))
            away = float(np.abs(pose_difference(self._tool_pose(state), twin, "base")).max())
            if away <= SLACK:
                break
        else:
            raise RobotFault(
                f"the arm's tool centre point is {away:.3f} (m or rad) from the twin's; valid: "
                "robot.tool as mounted, and the end effector of the vendor's Desk set to it"
            )

    def _check_way(self, start: Array, end: Array) -> None:
        """SafetyError when a reset's joint motion leads the tool out of the workspace; from outside
        any way back is fine."""
        low, high = np.array(self._bounds.workspace_low), np.array(self._bounds.workspace_high)
        first = np.array(self._twin.forward(0, start.tolist()))[:3]
        low, high = np.minimum(low, first) - SLACK, np.maximum(high, first) + SLACK
        for share in np.linspace(0.0, 1.0, 41):
            at = np.array(self._twin.forward(0, (start + share * (end - start)).tolist()))[:3]
            if (at < low).any() or (at > high).any():
                raise SafetyError(
                    f"the reset's way leaves the workspace at {at.round(3).tolist()}; valid: "
                    f"{low.round(3).tolist()} … {high.round(3).tolist()}: guide the arm by hand"
                )

    def _hold(self) -> None:
        """The tracker takes over where the arm is, at rest."""
        config = self._config
        measured = self._tool_pose(self._arm.state)
        self._setpoint[0], self._set_ns = measured, 0
        if config.dry_run:
            return
        damping = [config.translational_damping] * 3 + [config.rotational_damping] * 3
        try:
            self._tracker = franky.CartesianImpedanceTracker(
                self._arm,
                translational_stiffness=config.translational_stiffness,
                rotational_stiffness=config.rotational_stiffness,
                damping=np.array(damping),
                translational_error_clip=np.full(3, config.translational_clip),
                rotational_error_clip=np.full(3, config.rotational_clip),
                posture_task=franky.PostureTask(self._arm.state.q.copy(), config.posture_stiffness),
            )
        except SDK_ERRORS as error:
            self._tracker = None
            raise RobotFault(f"the arm refuses to move: {error}") from error

    def _target(self, pose: Array, velocity: Array | None) -> None:
        """One target; without a velocity the one between the last two setpoints is fed forward."""
        now = self._clock.now_ns()
        since = (now - self._set_ns) / 1e9
        if velocity is None and self._set_ns and 0.0 < since <= FEED_FORWARD_S:
            velocity = pose_difference(self._setpoint[0], pose, "base") / TICK_S
        self._setpoint[0], self._set_ns = pose, now
        if self._tracker is None:
            return
        twist = None if velocity is None else franky.Twist(velocity[:3], velocity[3:])
        try:
            self._tracker.set_target(affine(pose), twist)
        except SDK_ERRORS as error:
            self._latch.latch(f"the arm refuses a target: {error}")

    def _leave_tracker(self, *, heed: bool = False) -> None:
        """Ends the tracker compliantly and waits until the arm rests, without blocking the clock's
        calls. heed: a stop asked meanwhile raises RobotFault at once."""
        tracker, self._tracker = self._tracker, None
        with suppress(*SDK_ERRORS):  # of a motion that has ended in a reflex, or was preempted
            if tracker is not None:
                self._stopping = True
                if tracker.is_running:
                    self._arm.move(franky.TorqueStopMotion(), asynchronous=True)
            while self._stopping and not self._arm.join_motion(0.0):
                if heed and self._latch.obey():
                    raise RobotFault(self._latch.reason)  # whoever moves next waits for the rest
                self._clock.sleep_until(self._clock.now_ns() + POLL_NS)
        self._stopping = False

    def _drive(self, motion: Any) -> None:
        """A motion of the vendor's planner; RobotFault when it fails or is tripped."""
        try:
            self._arm.move(motion, asynchronous=True)
            while not self._arm.join_motion(0.0):
                if self._latch.obey():
                    self._arm.move(franky.JointStopMotion(), asynchronous=True)
                    self._stopping = True
                    raise RobotFault(self._latch.reason)
                self._clock.sleep_until(self._clock.now_ns() + POLL_NS)
        except SDK_ERRORS as error:
            self._latch.latch(f"the reset's motion failed: {error}")
            raise RobotFault(self._latch.reason) from error

    def _ending(self) -> str:
        """Why the tracker runs no more."""
        try:
            self._arm.join_motion(0.0)
        except SDK_ERRORS as error:
            return f"the arm stopped: {'; '.join(str(error).splitlines())}"
        return f"the arm stopped: {self._errors()}"

    def _errors(self) -> str:
        state = self._arm.state
        return f"{state.robot_mode}, {state.current_errors or state.last_motion_errors}"

    def _check_fresh(self, arm_time: float) -> None:
        """Latches when the arm's own time stands still."""
        now = self._clock.now_ns()
        away = (
            now - self._looked_ns > LOOK_NS
        )  # this process was: the arm's next state may come yet
        self._looked_ns = now
        if arm_time != self._arm_time or away:
            self._arm_time, self._arm_time_ns = arm_time, now
        elif (late := (now - self._arm_time_ns) / 1e9) > self._config.state_stale:
            self._latch.latch(f"the arm's state has not changed for {1e3 * late:.0f} ms")

    def _want(self, width: float) -> None:
        self._width[0] = min(max(width, GRIPPER_RANGE[0]), GRIPPER_RANGE[1])
        if self._hand is not None and not self._config.dry_run:
            self._hand.want(float(self._width[0]))

    def _require_connection(self) -> None:
        if self._arm is None:
            raise RobotFault("the robot is not connected; call connect() first")

    def _require_ready(self) -> None:
        self._latch.obey()
        if self._latch.reason:
            raise RobotFault(f"{self._latch.reason}; a person re-arms")
