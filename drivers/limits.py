"""Per-robot limit tables and the limits a safety layer enforces; every one of them is required."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from robot_rl.errors import SafetyError
from robot_rl.geometry import GRIPPER_DOWN

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotTable:
    """The vendor's limits of one arm: end effector in m, rad and s, joints in rad and s."""

    name: str
    velocity: float
    acceleration: float
    jerk: float
    angular_velocity: float
    angular_acceleration: float
    angular_jerk: float
    joint_low: Vector
    joint_high: Vector
    joint_velocity: Vector
    """Safe in the whole joint range."""
    joint_velocity_peak: Vector
    """The highest the vendor permits anywhere in the range."""


FR3 = RobotTable(
    name="fr3",
    velocity=3.0,
    acceleration=9.0,
    jerk=4500.0,
    angular_velocity=2.5,
    angular_acceleration=17.0,
    angular_jerk=8500.0,
    joint_low=(-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159),
    joint_high=(2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159),
    joint_velocity=(2.0, 1.0, 1.5, 1.25, 3.0, 1.5, 3.0),
    joint_velocity_peak=(2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
)
"""Franka control parameters, FR3."""

PANDA = RobotTable(
    name="panda",
    velocity=1.7,
    acceleration=13.0,
    jerk=6500.0,
    angular_velocity=2.5,
    angular_acceleration=25.0,
    angular_jerk=12500.0,
    joint_low=(-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973),
    joint_high=(2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973),
    joint_velocity=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    joint_velocity_peak=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
)
"""Franka control parameters, Panda."""

TABLES = {table.name: table for table in (FR3, PANDA)}
MARGIN = 0.1
"""Share of each vendor limit that is left unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What SafeRobot holds every setpoint to. Base frame, SI units."""

    velocity: float
    acceleration: float
    jerk: float
    angular_velocity: float
    angular_acceleration: float
    angular_jerk: float
    joint_low: Vector
    joint_high: Vector
    joint_velocity: Vector
    """Near these measured velocities the setpoint slows down."""
    joint_velocity_trip: Vector
    """Joints measured beyond this velocity, or beyond their range, latch a fault."""
    joint_margin: float = 0.05
    """rad before a joint's end at which the setpoint turns back."""
    workspace_low: Vector
    workspace_high: Vector
    """Box of the end effector's origin (3,), m."""
    orientation: Vector = tuple(GRIPPER_DOWN.tolist())
    """Centre of the permitted orientations, quaternion (w, x, y, z)."""
    max_rotation: float
    """Largest angle from `orientation`, rad; below pi/2, so that braking stays inside."""
    max_force: float
    """Stiffness times clip of the controller must not exceed this, N."""
    force_trip: float
    """Measured contact force that latches a fault, N, after `force_filter`."""
    force_filter: float = 0.05
    """Time constant of the low-pass on the measured force, s."""
    stale_after_ns: int = 150_000_000
    """Age of the observation a command answers beyond which the command is not taken."""
    hold_after_ns: int = 150_000_000
    """Time without a command after which the setpoint brakes and holds: 1.5 periods of 10 Hz."""
    stop_after_ns: int = 300_000_000
    """Time without a command after which the springs relax and a fault latches."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = np.asarray(getattr(self, item.name), np.float64)
            if not np.isfinite(value).all():
                raise SafetyError(f"limit {item.name} = {value}; valid: finite numbers")
            if (
                not item.name.startswith(("joint_low", "joint_high", "workspace", "orientation"))
                and (value <= 0).any()
            ):
                raise SafetyError(f"limit {item.name} = {value}; valid: positive")
        low, high = np.asarray(self.workspace_low), np.asarray(self.workspace_high)
        if low.shape != (3,) or high.shape != (3,) or (low >= high).any():
            raise SafetyError(f"workspace {low} … {high}; valid: 3 low values below 3 high values")
        if len(self.orientation) != 4 or abs(np.linalg.norm(self.orientation) - 1.0) > 1e-6:
            raise SafetyError(f"orientation {self.orientation}; valid: a unit quaternion")
        if self.max_rotation >= np.pi / 2:
            raise SafetyError(f"max_rotation {self.max_rotation:.3f} rad; valid: below pi/2")
        if self.stop_after_ns <= self.hold_after_ns:
            raise SafetyError("stop_after_ns must be longer than hold_after_ns")


def limits_within(
    table: RobotTable,
    *,
    workspace_low: Vector,
    workspace_high: Vector,
    max_rotation: float,
    max_force: float,
    force_trip: float,
    force_filter: float = 0.05,
    hold_after_ns: int = 150_000_000,
    stop_after_ns: int = 300_000_000,
    velocity: float,
    angular_velocity: float,
    acceleration: float | None = None,
    angular_acceleration: float | None = None,
) -> Limits:
    """Limits of a task within a robot's table less MARGIN; accelerations default to the table's.

    Raises SafetyError naming the value that asks for more than the table less its margin.
    """
    share = 1.0 - MARGIN
    acceleration = share * table.acceleration if acceleration is None else acceleration
    angular_acceleration = (
        share * table.angular_acceleration if angular_acceleration is None else angular_acceleration
    )
    for name, value, vendor in (
        ("velocity", velocity, table.velocity),
        ("angular_velocity", angular_velocity, table.angular_velocity),
        ("acceleration", acceleration, table.acceleration),
        ("angular_acceleration", angular_acceleration, table.angular_acceleration),
    ):
        if not 0.0 < value <= share * vendor + 1e-9:
            raise SafetyError(
                f"{name} = {value}; valid for {table.name}: above 0, at most {share * vendor:.4g} "
                f"({vendor} less {MARGIN:.0%})"
            )
    return Limits(
        velocity=velocity,
        angular_velocity=angular_velocity,
        acceleration=acceleration,
        angular_acceleration=angular_acceleration,
        jerk=share * table.jerk,
        angular_jerk=share * table.angular_jerk,
        joint_low=table.joint_low,
        joint_high=table.joint_high,
        joint_velocity=table.joint_velocity,
        joint_velocity_trip=table.joint_velocity_peak,
        workspace_low=tuple(workspace_low),
        workspace_high=tuple(workspace_high),
        max_rotation=max_rotation,
        max_force=max_force,
        force_trip=force_trip,
        force_filter=force_filter,
        stale_after_ns=hold_after_ns,
        hold_after_ns=hold_after_ns,
        stop_after_ns=stop_after_ns,
    )
