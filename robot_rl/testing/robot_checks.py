"""The probe that conformance checks drive a robot with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_rl.errors import RobotRLError
from robot_rl.geometry import pose_add, pose_difference
from robot_rl.interfaces import Robot
from robot_rl.limits import Limits
from robot_rl.types import Array, CartesianCommand, JointCommand, RobotState

POLICY_NS = 100_000_000
"""A policy period of 10 Hz."""
SAMPLE_NS = 20_000_000
"""How often setpoints are looked at."""
REACH = 0.05
"""No goal at rest can put a setpoint further from the measured pose than this, m."""


class ConformanceFailure(RobotRLError):
    """One requirement that does not hold."""


def require(holds: object, message: str) -> None:
    """Raises ConformanceFailure with `message` unless it holds."""
    if not holds:
        raise ConformanceFailure(message)


def require_error(
    call: Callable[[], object], kind: type[RobotRLError] | tuple[type[RobotRLError], ...], what: str
) -> None:
    """`call` must raise `kind`."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = " or ".join(k.__name__ for k in kinds)
    try:
        call()
    except kinds:
        return
    except RobotRLError as error:
        raise ConformanceFailure(f"{what} raised {type(error).__name__}, not {names}") from error
    raise ConformanceFailure(f"{what} was accepted; it must raise {names}")


class Probe:
    """A fresh robot and the moves that the checks share."""

    def __init__(
        self, factory: Callable[[], Robot], limits: Sequence[Limits] | None = None
    ) -> None:
        self.robot = factory()
        self.limits = tuple(limits) if limits is not None else self.robot.limits
        self._connected = False
        self.seen: list[RobotState] = []
        """States of all samples of `follow`."""

    def connect(self) -> RobotState:
        """Connects, checks the state's form, gives it."""
        self.robot.connect()
        self._connected = True
        state = self.robot.read()
        self.check_state(state)
        return state

    def close(self) -> None:
        if self._connected:
            self.robot.close()

    def wait(self, ns: int) -> None:
        clock = self.robot.clock
        clock.sleep_until(clock.now_ns() + ns)

    def command(self, pose: Array, width: Array | None = None, *, age_ns: int = 0) -> None:
        """Commands `pose` (n_arms, 7); `age_ns` back-dates the observation it answers. A bare robot
        in joint space gets the joints that its own kinematics give for it."""
        state = self.robot.read()
        gripper = state.gripper_setpoint if width is None else width
        stamp = self.robot.clock.now_ns() - age_ns
        kinematics, near = self.robot.kinematics, state.joint_setpoint
        if kinematics is None or near is None or self.robot.limits:
            self.robot.command(CartesianCommand(pose, gripper, stamp))
        else:
            found = [kinematics.inverse(i, pose[i], near[i])[0] for i in range(len(pose))]
            self.robot.command(JointCommand(np.array(found), gripper, stamp))

    def follow(self, pose: Array, ns: int, width: Array | None = None) -> Array:
        """Commands the same goal each policy period; setpoints (samples, n_arms, 7) on the way."""
        samples = []
        for _ in range(ns // POLICY_NS):
            self.command(pose, width)
            for _ in range(POLICY_NS // SAMPLE_NS):
                self.wait(SAMPLE_NS)
                self.seen.append(self.robot.read())
                samples.append(self.seen[-1].setpoint)
        return np.array(samples)

    def setpoints(self, ns: int) -> Array:
        """Setpoints (samples, n_arms, 7) while nothing is commanded."""
        samples = []
        for _ in range(ns // SAMPLE_NS):
            self.wait(SAMPLE_NS)
            samples.append(self.robot.read().setpoint)
        return np.array(samples)

    def shifted(self, pose: Array, delta: tuple[float, ...]) -> Array:
        """Each arm's pose moved by delta (6,) m and rad along its base axes."""
        return pose_add(pose, np.tile(np.asarray(delta, np.float64), (len(pose), 1)), "base")

    def away(self, a: Array, b: Array) -> tuple[float, float]:
        """Largest distance (m) and angle (rad) between poses (n_arms, 7)."""
        delta = pose_difference(a, b, "base")
        return (
            float(np.linalg.norm(delta[:, :3], axis=1).max()),
            float(np.linalg.norm(delta[:, 3:], axis=1).max()),
        )

    def require_still(self, ns: int, what: str, tolerance: float = 2e-3) -> None:
        """The setpoint must not move at all and the arm must rest within `tolerance` m."""
        before = self.robot.read()
        self.wait(ns)
        after = self.robot.read()
        moved, _ = self.away(before.setpoint, after.setpoint)
        require(moved < 1e-9, f"{what}: the setpoint went on for {1e3 * moved:.2f} mm")
        drift, _ = self.away(before.pose, after.pose)
        require(drift < tolerance, f"{what}: the arm drifted {1e3 * drift:.2f} mm")

    def check_state(self, state: RobotState) -> None:
        """Shapes, finite values, unit quaternions."""
        n, joints = self.robot.n_arms, state.q.shape[-1]
        shapes = {
            "q": (n, joints),
            "dq": (n, joints),
            "tau": (n, joints),
            "pose": (n, 7),
            "twist": (n, 6),
            "wrench": (n, 6),
            "gripper_width": (n,),
            "setpoint": (n, 7),
            "gripper_setpoint": (n,),
        }
        for name, shape in shapes.items():
            array = getattr(state, name)
            require(array.shape == shape, f"state.{name} has shape {array.shape}, valid: {shape}")
            require(np.isfinite(array).all(), f"state.{name} is not finite: {array.tolist()}")
        for name in ("pose", "setpoint"):
            norms = np.linalg.norm(getattr(state, name)[:, 3:], axis=1)
            require(np.abs(norms - 1).max() < 1e-6, f"state.{name}: quaternion length {norms}")
