"""The MJCF's native impedance law against SERL's in NumPy, and what both hold statically."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.drivers.mujoco.impedance import serl_torque, task_wrench
from robot_rl.drivers.mujoco.model import Gains, mujoco
from robot_rl.drivers.mujoco.robot import SimRobot
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.geometry import pose_add, pose_difference, quat_rotate
from robot_rl.types import Array, CartesianCommand, Scene

START = np.array([0.5, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0])
GAINS = Gains()


class Arm:
    """A connected arm at START, and both laws' torques for its present state."""

    def __init__(self) -> None:
        self.world = SimWorld(GAINS)
        self.world.build(Scene(""))
        self.robot = SimRobot(self.world)
        self.robot.connect()
        self.robot.move_to(START[None], np.array([0.04]))

    def torques(self, target: Array, dq: Array | None = None) -> tuple[Array, Array]:
        """Native and reference torques (7,) with the arm at `dq`."""
        model, data = self.world.model, self.world.data
        width = np.array([0.04])
        self.robot.command(CartesianCommand(target[None], width, 0))
        data.qvel[:7] = np.zeros(7) if dq is None else dq
        data.qacc_warmstart[:] = 0.0
        mujoco.mj_forward(model, data)
        native = data.qfrc_actuator[:7] + data.qfrc_spring[:7]
        jacobian = np.zeros((6, model.nv))
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], model.site("tcp").id)
        gravity, bias = -data.qfrc_gravcomp[:7], data.qfrc_bias[:7]
        state = self.robot.read()
        reference = serl_torque(
            pose=state.pose[0],
            target=target,
            q=state.q[0],
            dq=state.dq[0],
            jacobian=jacobian[:, :7],
            coriolis=bias + gravity,
            gains=GAINS,
            posture=state.q[0],
        )
        most = model.jnt_actfrcrange[:7, 1]
        return native.copy(), np.clip(reference, -most, most)


def random_target(rng: np.random.Generator, shift: float, turn: float) -> Array:
    delta = np.concatenate([rng.uniform(-shift, shift, 3), rng.uniform(-turn, turn, 3)])
    return pose_add(START, delta, "base")


def test_torques_agree_tightly_at_rest_within_the_clip() -> None:
    arm, rng = Arm(), np.random.default_rng(0)
    for _ in range(50):
        native, reference = arm.torques(random_target(rng, 0.009, 0.05))
        assert np.abs(native - reference).max() < 2e-3 + 1e-3 * np.abs(reference).max()


def test_forces_agree_beyond_the_clip_and_torques_within_the_stated_bound() -> None:
    arm, rng = Arm(), np.random.default_rng(1)
    for _ in range(50):
        native, reference = arm.torques(random_target(rng, 0.05, 0.0))
        assert np.abs(native - reference).max() < 2e-3
    for _ in range(50):
        target = random_target(rng, 0.0, 0.6)
        arm.torques(target)
        native = quat_rotate(target[3:], arm.world.data.actuator_force[3:6])
        reference = task_wrench(START, np.zeros(6), target, GAINS)[3:]
        bound = 2.1 * GAINS.rotational_stiffness * GAINS.rotational_clip
        assert np.linalg.norm(native - reference) < bound
        assert native @ reference > 0.0


def test_low_speed_agrees_and_high_speed_differs_by_the_coriolis_torque() -> None:
    arm, rng = Arm(), np.random.default_rng(2)
    for speed, tolerance in ((0.02, 5e-3), (1.0, 2.0)):
        for _ in range(20):
            target = random_target(rng, 0.009, 0.05)
            dq = rng.uniform(-speed, speed, 7)
            native, reference = arm.torques(target, dq)
            # SERL damps the null space with 2 sqrt(k) = 0.89 Nms/rad; here the joints do.
            null_space = 2 * np.sqrt(0.2) * np.linalg.norm(dq)
            assert np.linalg.norm(native - reference) < tolerance + null_space


def test_a_blocked_arm_pushes_with_stiffness_times_clip() -> None:
    arm = Arm()
    for axis in range(3):
        target = START.copy()
        target[axis] += 0.2
        native, _ = arm.torques(target)
        model, data = arm.world.model, arm.world.data
        jacobian = np.zeros((6, model.nv))
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], model.site("tcp").id)
        wrench = np.linalg.lstsq(jacobian[:, :7].T, native, rcond=None)[0]
        assert wrench[axis] == pytest.approx(
            GAINS.translational_stiffness * GAINS.translational_clip, rel=1e-6
        )


def test_orientation_spring_turns_the_short_way_across_pi() -> None:
    """A target 3 rad from the world's axes pulls towards itself, not round the other way."""
    arm = Arm()
    for turn in (-0.05, 0.05):
        native, reference = arm.torques(pose_add(START, np.array([0, 0, 0, 0, 0, turn]), "base"))
        assert np.sign(native[6]) == np.sign(reference[6]) == -np.sign(turn)


def test_the_elbow_spring_leaves_no_error_at_rest() -> None:
    arm = Arm()
    for goal in ((0.4, 0.2, 0.2), (0.6, -0.2, 0.1)):
        pose = START.copy()
        pose[:3] = goal
        arm.robot.move_to(pose[None], np.array([0.04]))
        arm.robot.clock.sleep_until(arm.robot.clock.now_ns() + 1_000_000_000)
        state = arm.robot.read()
        assert np.abs(pose_difference(pose, state.pose[0], "base")).max() < 1e-6
        assert np.abs(state.twist).max() < 1e-6
