"""Checks for a robot behind its safety layer: limits, staleness, watchdog, latched faults."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import RobotFault, SafetyError
from robot_rl.interfaces import Capability
from robot_rl.limits import Limits
from robot_rl.testing.motion import joint_violations, violations
from robot_rl.testing.robot_checks import (
    POLICY_NS,
    REACH,
    SAMPLE_NS,
    ConformanceFailure,
    Probe,
    require,
    require_error,
)
from robot_rl.types import CartesianCommand, LimitStage

SILENCE_NS = 10 * POLICY_NS
"""Longer than any watchdog may wait."""


def check_motion_limits(probe: Probe) -> None:
    """Setpoints keep speed, acceleration, jerk and workspace whatever is asked for."""
    limits = _limits(probe)
    start = probe.connect().setpoint
    rng = np.random.default_rng(0)
    probe.seen = [probe.robot.read()]
    for _ in range(40):
        delta = rng.uniform(-1.0, 1.0, 6) * ([0.3] * 3 + [1.0] * 3)
        periods = int(rng.integers(1, 4))
        probe.follow(probe.shifted(start, tuple(delta)), periods * POLICY_NS)
    for arm, bounds in enumerate(limits):
        poses = np.array([state.setpoint[arm] for state in probe.seen])
        joints = [state.joint_setpoint for state in probe.seen]
        if Capability.JOINT in probe.robot.capabilities:
            q = np.array([row[arm] for row in joints if row is not None])
            broken = joint_violations(q, poses, SAMPLE_NS / 1e9, bounds, tolerance=1e-3)
        else:
            broken = violations(poses, SAMPLE_NS / 1e9, bounds, tolerance=1e-3)
        require(not broken, f"arm {arm}: {'; '.join(broken)}")


def check_workspace(probe: Probe) -> None:
    """A goal metres away stops the setpoint at the wall, says so, and latches no fault."""
    limits = _limits(probe)
    start = probe.connect().setpoint
    goal = start.copy()
    high = np.array([arm.workspace_high for arm in limits])
    goal[:, 2] = high[:, 2] + 3.0
    probe.follow(goal, 40 * POLICY_NS)
    state = probe.robot.read()
    require(not state.fault, f"driving at a wall latched a fault: {state.fault}")
    require(
        state.limiting_stage is LimitStage.WORKSPACE,
        f"limiting_stage is {state.limiting_stage.name} at a wall, valid: WORKSPACE",
    )
    over = float((state.setpoint[:, :3] - high).max())
    require(over < 1e-6, f"the setpoint is {1e3 * over:.2f} mm beyond the workspace")
    near, _ = probe.away(state.setpoint, state.pose)
    require(near < REACH, f"the setpoint runs {1e3 * near:.1f} mm ahead of the arm")
    before = probe.robot.read().setpoint
    require_error(
        lambda: probe.robot.move_to(goal),
        (SafetyError, RobotFault),
        "move_to outside the workspace",
    )
    moved, _ = probe.away(before, probe.robot.read().setpoint)
    require(moved < 1e-9, "move_to outside the workspace was refused but the setpoint moved")


def check_setpoint_is_no_echo(probe: Probe) -> None:
    """Right after a far goal the setpoint is still near the arm, and the limit is named."""
    start = probe.connect().setpoint
    probe.command(probe.shifted(start, (0.0, 0.05, 0.0, 0.0, 0.0, 0.0)))
    probe.wait(2 * SAMPLE_NS)
    state = probe.robot.read()
    ahead, _ = probe.away(state.pose, state.setpoint)
    require(ahead < REACH / 2, f"the setpoint is {1e3 * ahead:.1f} mm ahead of the arm after 40 ms")
    require(
        state.limiting_stage is not LimitStage.NONE,
        "a goal that is not reached has limiting_stage NONE",
    )
    probe.follow(start, 10 * POLICY_NS)
    stage = probe.robot.read().limiting_stage
    require(stage is LimitStage.NONE, f"limiting_stage is {stage.name} at a goal that was reached")


def check_stale_command(probe: Probe) -> None:
    """A command that answers an old observation, or one from the future, is not followed."""
    start = probe.connect().setpoint
    probe.wait(20 * POLICY_NS)
    goal = probe.shifted(start, (0.0, 0.03, 0.0, 0.0, 0.0, 0.0))
    for age_ns in (10 * POLICY_NS, -10 * POLICY_NS):
        probe.command(goal, age_ns=age_ns)
        probe.wait(POLICY_NS)
        state = probe.robot.read()
        moved, _ = probe.away(start, state.setpoint)
        require(moved < 1e-9, f"a command {age_ns / 1e6:.0f} ms old was followed")
        require(
            state.limiting_stage is LimitStage.STALE,
            f"limiting_stage is {state.limiting_stage.name} after a stale command, valid: STALE",
        )


def check_silence_holds(probe: Probe) -> None:
    """When commands end in mid-motion the setpoint stops within 200 ms, well before the goal."""
    start = probe.connect().setpoint
    goal = probe.shifted(start, (0.0, 0.0, 0.2, 0.0, 0.0, 0.0))
    probe.command(goal)
    probe.wait(2 * POLICY_NS)
    at = probe.robot.read().pose
    probe.wait(POLICY_NS)
    held = probe.robot.read()
    require(
        held.fault or held.limiting_stage in (LimitStage.WATCHDOG, LimitStage.FAULT),
        f"300 ms of silence: limiting_stage {held.limiting_stage.name}, valid: WATCHDOG or FAULT",
    )
    probe.wait(SILENCE_NS)
    way, _ = probe.away(at, probe.robot.read().pose)
    require(way < 0.03, f"the arm went on for {1e3 * way:.1f} mm without commands")
    probe.require_still(5 * POLICY_NS, "without commands")


def check_fault_is_latched(probe: Probe) -> None:
    """After long silence a fault is latched: shown, refusing commands, ended by reconnecting."""
    start = probe.connect().setpoint
    _fault_by_silence(probe)
    state = probe.robot.read()
    require(state.fault, "1 s of silence latched no fault: state.fault is empty")
    require(
        state.limiting_stage is LimitStage.FAULT,
        f"limiting_stage is {state.limiting_stage.name} while a fault is latched, valid: FAULT",
    )
    width = state.gripper_setpoint
    for _ in range(3):
        now = probe.robot.clock.now_ns()
        require_error(
            lambda now=now: probe.robot.command(CartesianCommand(start, width, now)),  # type: ignore[misc]
            RobotFault,
            "command() with a latched fault",
        )
        probe.require_still(POLICY_NS, "with a latched fault")
    probe.robot.stop()
    require(probe.robot.read().fault, "stop() cleared a latched fault; only a person re-arms")
    probe.robot.close()
    state = probe.connect()
    require(not state.fault, f"reconnecting did not re-arm: {state.fault}")
    probe.require_still(3 * POLICY_NS, "after re-arming, before any command")
    probe.follow(start, 10 * POLICY_NS)
    require(not probe.robot.read().fault, "commands after re-arming latched a fault again")


def check_rest_is_no_silence(probe: Probe) -> None:
    """A robot that was never commanded, or was stopped, may rest for ever without a fault."""
    start = probe.connect().setpoint
    probe.wait(SILENCE_NS)
    require(not probe.robot.read().fault, "resting after connect() latched a fault")
    probe.command(start)
    probe.wait(POLICY_NS)
    probe.robot.stop()
    probe.wait(SILENCE_NS)
    require(not probe.robot.read().fault, "resting after stop() latched a fault")
    probe.robot.move_to(start)
    probe.wait(SILENCE_NS)
    require(not probe.robot.read().fault, "resting after move_to() latched a fault")


def _fault_by_silence(probe: Probe) -> None:
    probe.command(probe.robot.read().setpoint)
    probe.wait(SILENCE_NS)


def _limits(probe: Probe) -> tuple[Limits, ...]:
    if len(probe.limits) != probe.robot.n_arms:
        raise ConformanceFailure(
            f"limits of {len(probe.limits)} arms; valid: one each arm of {probe.robot.n_arms}"
        )
    return probe.limits


SAFETY_CHECKS = (
    check_motion_limits,
    check_workspace,
    check_setpoint_is_no_echo,
    check_stale_command,
    check_silence_holds,
    check_fault_is_latched,
    check_rest_is_no_silence,
)
