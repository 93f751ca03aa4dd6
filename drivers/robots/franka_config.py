"""What the Franka driver sets on the arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.errors import ConfigError

FLANGE_TO_TCP = (0.0, 0.0, 0.1034, 0.92388, 0.0, 0.0, -0.38268)
"""Of the Franka hand: 103.4 mm along the flange's axis, turned back by 45°."""
GRIPPER_RANGE = (0.0, 0.08)
HOME = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrankaConfig:
    """What the driver sets on the arm. SI units."""

    address: str
    """Of the FCI; an IP or host name."""
    translational_stiffness: float = 2000.0
    rotational_stiffness: float = 75.0
    translational_damping: float = 89.0
    rotational_damping: float = 7.0
    translational_clip: float = 0.01
    """m of error that the springs answer, per axis."""
    rotational_clip: float = 0.1
    posture_stiffness: float = 5.0
    """Nm/rad in the null space, towards the joints at the last reset."""
    collision_torque: float = 30.0
    """Nm; beyond it the arm's own reflex stops."""
    collision_force: float = 40.0
    """N, the same at the end effector."""
    load_mass: float = 0.0
    """kg at the tool, beyond what is set in the vendor's Desk."""
    load_centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """m from the flange."""
    tool: tuple[float, ...] = FLANGE_TO_TCP
    """The tool centre point seen from the flange (7,)."""
    reset_speed: float = 0.15
    """Share of the vendor's joint speed in reset motions."""
    home: tuple[float, ...] = HOME
    gripper: bool = True
    gripper_speed: float = 0.1
    state_stale: float = 0.1
    """s for which the arm's own time may stand still; then a fault is latched."""
    dry_run: bool = False
    """Reads, and commands nothing."""
    real_time: bool = True
    """False: accepts a kernel without PREEMPT_RT (an emulator, a trial)."""

    def __post_init__(self) -> None:
        if not self.address:
            raise ConfigError(
                "robot.address is not set; valid: the IP of the arm's FCI, robot.address=172.16.0.2"
            )
        if len(self.tool) != 7 or len(self.home) != 7:
            raise ConfigError("robot.tool is a pose of 7 numbers, robot.home 7 joint positions")
