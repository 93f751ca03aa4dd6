"""The vendors' limit tables, and the limits of a task within one."""

from __future__ import annotations

from dataclasses import dataclass

from robot_rl.errors import SafetyError
from robot_rl.limits import Limits, Vector


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
    joint_acceleration: Vector
    joint_jerk: Vector


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
    joint_acceleration=(10.0,) * 7,
    joint_jerk=(5000.0,) * 7,
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
    joint_acceleration=(15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0),
    joint_jerk=(7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0),
)
"""Franka control parameters, Panda."""

TABLES = {table.name: table for table in (FR3, PANDA)}
MARGIN = 0.1
"""Share of each vendor limit that is left unused."""


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
    joint_speed: float = 0.5,
) -> Limits:
    """Limits of a task within a robot's table less MARGIN; accelerations default to the table's.

    joint_speed: the share of the table's joint velocities that setpoints in joint space may have.
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
        ("joint_speed", joint_speed, 1.0),
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
        joint_speed=tuple(joint_speed * value for value in table.joint_velocity),
        joint_acceleration=tuple(share * value for value in table.joint_acceleration),
        joint_jerk=tuple(share * value for value in table.joint_jerk),
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
