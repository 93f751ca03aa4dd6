"""Checks for any robot, with or without a safety layer in front of it."""

from __future__ import annotations

import copy
from dataclasses import fields

import numpy as np

from robot_rl.errors import PoisonedDataError, RobotFault, SpecError
from robot_rl.interfaces import Capability
from robot_rl.testing.robot_checks import POLICY_NS, Probe, require, require_error
from robot_rl.types import Array, CartesianCommand, RobotState

IMPEDANCE_GAINS = (
    "translational_stiffness",
    "translational_damping",
    "translational_clip",
    "rotational_stiffness",
    "rotational_damping",
    "rotational_clip",
)
TRACKING = 3e-3
"""m between goal and measured pose at rest; a stiff impedance controller has friction."""
TRACKING_ANGLE = 2e-2
"""rad."""


def check_declares_itself(probe: Probe) -> None:
    """Arms, gripper range and gains make sense before anything is connected."""
    robot = probe.robot
    require(robot.n_arms >= 1, f"n_arms is {robot.n_arms}, valid: at least 1")
    closed, opened = robot.gripper_range
    shapes = {np.shape(closed), np.shape(opened)}
    require(shapes == {(robot.n_arms,)}, f"gripper_range of shapes {shapes}; valid: one an arm")
    grips = (np.asarray(closed) >= 0.0).all() and (closed <= opened).all()
    require(grips, f"gripper_range {closed}, {opened}: valid: closed <= open, m")
    bases = robot.base_poses
    require(
        bases.shape == (robot.n_arms, 7)
        and np.abs(np.linalg.norm(bases[:, 3:], axis=1) - 1.0).max() < 1e-6,
        f"base_poses {bases.tolist()}; valid: ({robot.n_arms}, 7), unit quaternions",
    )
    gains = dict(robot.gains)
    wrong = [name for name, gain in gains.items() if not np.isfinite(gain) or gain < 0.0]
    require(not wrong, f"gains {wrong} are negative or not finite")
    if Capability.CARTESIAN_IMPEDANCE in robot.capabilities:
        missing = [name for name in IMPEDANCE_GAINS if name not in gains]
        require(not missing, f"claims CARTESIAN_IMPEDANCE but its gains lack {missing}")


def check_needs_connection(probe: Probe) -> None:
    """Nothing is read or commanded before `connect`."""
    robot = probe.robot
    require_error(robot.read, RobotFault, "read() before connect()")
    state = probe.connect()
    robot.close()
    require_error(robot.read, RobotFault, "read() after close()")
    command = CartesianCommand(state.pose, state.gripper_width, state.stamp_ns)
    require_error(lambda: robot.command(command), RobotFault, "command() after close()")


def check_reads(probe: Probe) -> None:
    """A state is a snapshot: stamped by the robot's clock, and not changed by what follows."""
    state = probe.connect()
    clock = probe.robot.clock
    before = clock.now_ns()
    state = probe.robot.read()
    require(
        state.stamp_ns <= clock.now_ns() and state.stamp_ns >= before - POLICY_NS,
        f"state.stamp_ns {state.stamp_ns} is not near the clock's {before}",
    )
    require(state.boot_id == clock.boot_id, "state.boot_id is not the clock's")
    kept = copy.deepcopy(state)
    probe.follow(probe.shifted(state.setpoint, (0.0, 0.0, 0.02, 0.0, 0.0, 0.0)), 5 * POLICY_NS)
    for item in fields(RobotState):
        same = np.array_equal(getattr(state, item.name), getattr(kept, item.name))
        require(same, f"state.{item.name} changed after it was read: it must be a copy")
    require(probe.robot.read().stamp_ns > state.stamp_ns, "stamps do not advance")


def check_clock(probe: Probe) -> None:
    """Time goes forward, `sleep_until` does not return early, one connection is one time base."""
    probe.connect()
    clock = probe.robot.clock
    boot = clock.boot_id
    for wait_ns in (1_000_000, 20_000_000, 100_000_000):
        target = clock.now_ns() + wait_ns
        clock.sleep_until(target)
        now = clock.now_ns()
        require(now >= target, f"sleep_until returned {target - now} ns early")
        require(now < target + 10 * POLICY_NS, f"sleep_until overslept by {now - target} ns")
    before = clock.now_ns()
    clock.sleep_until(before - 1)
    require(clock.now_ns() >= before, "time went back")
    require(clock.boot_id == boot, "boot_id changed within one connection")


def check_tracking(probe: Probe) -> None:
    """Small goals along and about each axis are reached, and then reported as the setpoint."""
    start = probe.connect().setpoint
    for axis in range(6):
        delta = [0.0] * 6
        delta[axis] = 0.03 if axis < 3 else 0.1
        goal = probe.shifted(start, tuple(delta))
        probe.follow(goal, 15 * POLICY_NS)
        _require_at(probe, goal, f"goal {delta}")
        probe.follow(start, 15 * POLICY_NS)
    _require_at(probe, start, "the way back")


def check_setpoint_is_what_was_emitted(probe: Probe) -> None:
    """The setpoint arrives at a goal in reach, stays there, and never just echoes the command."""
    start = probe.connect().setpoint
    goal = probe.shifted(start, (0.0, 0.02, 0.0, 0.0, 0.0, 0.0))
    probe.follow(goal, 10 * POLICY_NS)
    moved, turned = probe.away(goal, probe.robot.read().setpoint)
    require(
        moved < 1e-4 and turned < 1e-3,
        f"after 1 s the reported setpoint is {1e3 * moved:.2f} mm, {turned:.4f} rad off the goal",
    )
    kept = probe.robot.read()
    arms, _ = probe.away(kept.pose, goal)
    require(arms < TRACKING, f"the setpoint is reported at the goal, the arm is {arms:.4f} m away")


def check_gripper(probe: Probe) -> None:
    """A claimed gripper opens and closes; widths beyond its range are held to it."""
    if Capability.GRIPPER not in probe.robot.capabilities:
        return
    pose = probe.connect().setpoint
    closed, opened = probe.robot.gripper_range
    for asked, expected in ((closed - 1.0, closed), (opened + 1.0, opened)):
        probe.follow(pose, 20 * POLICY_NS, asked)
        state = probe.robot.read()
        off = float(np.abs(state.gripper_width - expected).max())
        require(off < 3e-3, f"asked for {expected} m, the gripper is {1e3 * off:.1f} mm off")
        shown = state.gripper_setpoint
        require(
            (shown >= closed - 1e-9).all() and (shown <= opened + 1e-9).all(),
            f"gripper_setpoint {shown.tolist()} outside {closed} … {opened}",
        )


def check_wrench(probe: Probe) -> None:
    """A claimed wrench is small in free space at rest."""
    if Capability.WRENCH not in probe.robot.capabilities:
        return
    probe.connect()
    probe.wait(5 * POLICY_NS)
    wrench = probe.robot.read().wrench
    force = float(np.abs(wrench[:, :3]).max())
    require(force < 5.0, f"{force:.1f} N of external force at rest in free space")


def check_refuses_not_finite(probe: Probe) -> None:
    """NaN or infinity anywhere in a command is refused, and nothing moves."""
    state = probe.connect()
    for bad in (np.nan, np.inf, -np.inf):
        for index in range(7):
            pose = state.setpoint.copy()
            pose[-1, index] = bad
            _require_refused(
                probe, pose, state.gripper_setpoint, PoisonedDataError, f"pose[{index}] = {bad}"
            )
        width = np.full(len(state.setpoint), bad)
        _require_refused(probe, state.setpoint, width, PoisonedDataError, f"gripper = {bad}")
        pose = np.full_like(state.setpoint, bad)
        require_error(
            lambda pose=pose: probe.robot.move_to(pose),  # type: ignore[misc]
            (PoisonedDataError,),
            f"move_to with {bad}",
        )
    probe.require_still(2 * POLICY_NS, "after refused commands")


def check_refuses_wrong_shape(probe: Probe) -> None:
    """Another number of arms, or a quaternion that is none, is refused."""
    state = probe.connect()
    pose, width = state.setpoint, state.gripper_setpoint
    _require_refused(probe, pose[0], width, SpecError, "one pose without the arm axis")
    _require_refused(probe, np.vstack([pose, pose]), width, SpecError, "twice the arms")
    _require_refused(probe, pose, np.append(width, 0.0), SpecError, "a gripper too many")
    _require_refused(probe, pose * [1, 1, 1, 2, 2, 2, 2], width, SpecError, "a long quaternion")
    probe.require_still(2 * POLICY_NS, "after refused commands")


def check_move_to(probe: Probe) -> None:
    """`move_to` returns with the end effectors at rest at the pose, gripper included."""
    start = probe.connect().setpoint
    goal = probe.shifted(start, (0.02, 0.03, -0.02, 0.0, 0.0, 0.15))
    width = 0.75 * probe.robot.gripper_range[1]
    probe.robot.move_to(goal, width)
    _require_at(probe, goal, "move_to")
    probe.require_still(5 * POLICY_NS, "after move_to")
    if Capability.GRIPPER in probe.robot.capabilities:
        off = float(np.abs(probe.robot.read().gripper_width - width).max())
        require(off < 3e-3, f"move_to left the gripper {1e3 * off:.1f} mm from its width")


def check_stop_holds(probe: Probe) -> None:
    """`stop` in mid-motion drops the goal: the arm comes to rest nearby and stays."""
    start = probe.connect().setpoint
    goal = probe.shifted(start, (0.0, 0.05, 0.05, 0.0, 0.0, 0.0))
    probe.command(goal)
    probe.wait(POLICY_NS)
    at = probe.robot.read().pose
    probe.robot.stop()
    probe.wait(5 * POLICY_NS)
    way, _ = probe.away(at, probe.robot.read().pose)
    require(way < 0.03, f"the arm went on for {1e3 * way:.1f} mm after stop()")
    probe.require_still(5 * POLICY_NS, "after stop()")
    probe.follow(start, 10 * POLICY_NS)
    _require_at(probe, start, "the first goal after stop()")


def check_close(probe: Probe) -> None:
    """`close` may be called twice and before `connect`; a closed robot connects again."""
    probe.robot.close()
    state = probe.connect()
    probe.robot.close()
    probe.robot.close()
    again = probe.connect()
    moved, _ = probe.away(state.pose, again.pose)
    require(moved < 0.02, f"the arm moved {1e3 * moved:.1f} mm over close() and connect()")


def _require_at(probe: Probe, goal: Array, what: str) -> None:
    moved, turned = probe.away(goal, probe.robot.read().pose)
    require(
        moved < TRACKING and turned < TRACKING_ANGLE,
        f"{what}: the arm rests {1e3 * moved:.1f} mm and {turned:.3f} rad away",
    )


def _require_refused(
    probe: Probe, pose: Array, width: Array, kind: type[PoisonedDataError | SpecError], what: str
) -> None:
    before = probe.robot.read().setpoint
    now = probe.robot.clock.now_ns()
    require_error(lambda: probe.robot.command(CartesianCommand(pose, width, now)), kind, what)
    probe.wait(POLICY_NS // 2)
    moved, turned = probe.away(before, probe.robot.read().setpoint)
    require(max(moved, turned) < 1e-9, f"{what} was refused but the setpoint moved")


DEVICE_CHECKS = (
    check_declares_itself,
    check_needs_connection,
    check_reads,
    check_clock,
    check_tracking,
    check_setpoint_is_what_was_emitted,
    check_gripper,
    check_wrench,
    check_refuses_not_finite,
    check_refuses_wrong_shape,
    check_move_to,
    check_stop_holds,
    check_close,
)
