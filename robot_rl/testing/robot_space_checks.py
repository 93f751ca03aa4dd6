"""Checks of the space a robot is commanded in: what it claims, it takes; the rest it refuses."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.interfaces import Capability, Kinematics
from robot_rl.testing.robot_checks import POLICY_NS, Probe, require, require_error
from robot_rl.types import Array, JointCommand

TURN = 0.05
"""rad (m for a joint that slides) by which each joint is moved."""
AT_GOAL = 5e-3
"""rad between goal and measured joint at rest."""


def check_joint_commands(probe: Probe) -> None:
    """With JOINT each joint goes to its goal, which is then reported as the setpoint; bad numbers
    and shapes are refused. Without it a joint command is refused."""
    state = probe.connect()
    width = state.gripper_setpoint
    start = state.joint_setpoint
    if Capability.JOINT not in probe.robot.capabilities:
        command = JointCommand(state.q, width, probe.robot.clock.now_ns())
        require_error(lambda: probe.robot.command(command), SpecError, "an unclaimed JointCommand")
        return
    require(start is not None, "claims JOINT; state.joint_setpoint is None, valid: (n_arms, j)")
    assert start is not None
    for bad in (np.nan, np.inf):
        for what in ("q", "velocity"):
            _require_refused(probe, start, what, np.full_like(start, bad), PoisonedDataError)
    _require_refused(probe, start, "q", start[:, :-1], SpecError)
    _require_refused(probe, start, "velocity", start[:, :-1], SpecError)
    for joint in range(start.shape[1]):
        goal = start + TURN * np.eye(1, start.shape[1], joint) * (1 if joint % 2 else -1)
        _follow(probe, goal, 12)
        state = probe.robot.read()
        shown = state.joint_setpoint
        off = float(np.abs(state.q - goal).max())
        require(off < AT_GOAL, f"joint {joint + 1} rests {off:.4f} rad from its goal")
        require(
            shown is not None and np.abs(shown - goal).max() < 1e-6,
            f"joint {joint + 1}: state.joint_setpoint is not at the goal that was reached",
        )
        _follow(probe, start, 12)


def check_kinematics(probe: Probe) -> None:
    """With JOINT, `kinematics` agree with the measured pose, and their inverse with them."""
    state = probe.connect()
    kinematics = probe.robot.kinematics
    if Capability.JOINT not in probe.robot.capabilities:
        require(kinematics is None, "offers kinematics and does not claim JOINT")
        return
    require(kinematics is not None, "claims JOINT; kinematics are None after connect()")
    assert kinematics is not None
    for arm in range(probe.robot.n_arms):
        shown = _forward(kinematics, arm, state.q[arm])
        moved, turned = probe.away(shown[None], state.pose[arm : arm + 1])
        require(
            moved < 1e-3 and turned < 1e-2,
            f"arm {arm}: forward kinematics are {1e3 * moved:.1f} mm, {turned:.3f} rad off",
        )
        goal = probe.shifted(shown[None], (0.02, 0.02, -0.02, 0.0, 0.0, 0.1))[0]
        q, _ = kinematics.inverse(arm, goal, state.q[arm])
        moved, turned = probe.away(_forward(kinematics, arm, q)[None], goal[None])
        require(
            moved < 1e-4 and turned < 1e-3,
            f"arm {arm}: inverse kinematics are {1e3 * moved:.2f} mm, {turned:.4f} rad off",
        )


def _forward(kinematics: Kinematics, arm: int, q: Array) -> Array:
    return np.array(kinematics.forward(arm, q.tolist()))


def _follow(probe: Probe, goal: Array, periods: int) -> None:
    width = probe.robot.read().gripper_setpoint
    for _ in range(periods):
        now = probe.robot.clock.now_ns()
        probe.robot.command(JointCommand(goal, width, now, np.zeros_like(goal)))
        probe.wait(POLICY_NS)


def _require_refused(
    probe: Probe, start: Array, what: str, value: Array, kind: type[PoisonedDataError | SpecError]
) -> None:
    state, now = probe.robot.read(), probe.robot.clock.now_ns()
    q, velocity = (value, None) if what == "q" else (start, value)
    command = JointCommand(q, state.gripper_setpoint, now, velocity)
    require_error(lambda: probe.robot.command(command), kind, f"{what} = {value.tolist()}")
    probe.wait(POLICY_NS)
    moved, turned = probe.away(state.setpoint, probe.robot.read().setpoint)
    require(max(moved, turned) < 1e-9, f"a bad {what} was refused but the setpoint moved")


SPACE_CHECKS = (check_joint_commands, check_kinematics)
