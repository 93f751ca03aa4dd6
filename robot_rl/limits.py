"""The limits that a safety layer enforces; every one of them is required."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from robot_rl.errors import SafetyError
from robot_rl.geometry import GRIPPER_DOWN

Vector = tuple[float, ...]
JOINT_FIELDS = (
    "joint_low",
    "joint_high",
    "joint_velocity",
    "joint_velocity_trip",
    "joint_speed",
    "joint_acceleration",
    "joint_jerk",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a safety layer holds one arm's setpoints to. The arm's base frame, SI units."""

    velocity: float
    acceleration: float
    jerk: float
    angular_velocity: float
    angular_acceleration: float
    angular_jerk: float
    joint_low: Vector
    joint_high: Vector
    joint_velocity: Vector
    """Near these measured velocities a Cartesian setpoint slows down."""
    joint_speed: Vector
    """Fastest setpoints in joint space; at most `joint_velocity`."""
    joint_acceleration: Vector
    joint_jerk: Vector
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
        joints = {len(getattr(self, name)) for name in JOINT_FIELDS}
        if len(joints) != 1:
            raise SafetyError(f"limits of {sorted(joints)} joints; valid: one number a joint")
        if (np.asarray(self.joint_low) >= np.asarray(self.joint_high)).any():
            raise SafetyError(f"joints {self.joint_low} … {self.joint_high}; valid: low below high")
        if (np.asarray(self.joint_speed) > np.asarray(self.joint_velocity)).any():
            raise SafetyError(f"joint_speed {self.joint_speed}; valid: at most joint_velocity")
        if self.stop_after_ns <= self.hold_after_ns:
            raise SafetyError("stop_after_ns must be longer than hold_after_ns")
