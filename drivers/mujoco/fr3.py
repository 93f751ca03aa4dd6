"""The simulated Franka FR3 (and Panda by its limits), ready for a task."""

from __future__ import annotations

from collections.abc import Sequence

from robot_rl.drivers.limits import TABLES, limits_within
from robot_rl.drivers.mujoco.model import Gains, JointGains
from robot_rl.drivers.mujoco.robot import SimRobot
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.drivers.safe_robot import SafeRobot
from robot_rl.errors import ConfigError, suggest
from robot_rl.interfaces import Bundle
from robot_rl.timing import NS

WORKSPACE_LOW = (0.28, -0.3, 0.01)
WORKSPACE_HIGH = (0.7, 0.3, 0.55)
"""Box of the tool centre point, m; at its floor the fingertips are 1 mm above the table."""


def make(
    *,
    variant: str = "fr3",
    workspace_low: Sequence[float] = WORKSPACE_LOW,
    workspace_high: Sequence[float] = WORKSPACE_HIGH,
    max_rotation: float = 0.9,
    velocity: float = 0.3,
    angular_velocity: float = 1.5,
    max_force: float = 20.0,
    force_trip: float = 60.0,
    force_filter: float = 0.05,
    hold_after: float = 0.15,
    stop_after: float = 0.3,
    translational_stiffness: float = 2000.0,
    translational_damping: float = 89.0,
    translational_clip: float = 0.01,
    rotational_stiffness: float = 75.0,
    rotational_damping: float = 7.0,
    rotational_clip: float = 0.1,
    joint_control: bool = False,
    joint_speed: float = 0.5,
    joint_stiffness: float = 600.0,
    joint_damping: float = 50.0,
    joint_clip: float = 0.1,
    gripper_force: float = 40.0,
    gripper_speed: float = 0.1,
    teleport_resets: bool = True,
    real_time: bool = False,
    cameras: Sequence[str] = ("wrist", "external"),
    image_size: Sequence[int] = (128, 128),
) -> Bundle:
    """Arm behind its safety layer, and the world it stands in.

    variant: whose limit table applies, "fr3" or "panda" (same kinematics). Units SI, see Limits
    and Gains. joint_control: the arm takes joint setpoints (JointGains) in place of a Cartesian
    target; the Cartesian gains and `max_force` then say nothing. `hold_after` and `stop_after` in
    s, 1.5 and 3 periods of a 10 Hz policy; `image_size` is (height, width). Raises ConfigError, or
    SafetyError when limits or gains ask for too much.
    """
    if variant not in TABLES:
        raise ConfigError(f"robot variant '{variant}'; {suggest(variant, TABLES)}")
    if len(image_size) != 2 or min(image_size) < 1:
        raise ConfigError(f"image_size {list(image_size)}; valid: height and width in pixels")
    gains: Gains | JointGains
    if joint_control:
        gains = JointGains(
            joint_stiffness=joint_stiffness,
            joint_damping=joint_damping,
            joint_clip=joint_clip,
            gripper_force=gripper_force,
            gripper_speed=gripper_speed,
        )
    else:
        gains = Gains(
            translational_stiffness=translational_stiffness,
            translational_damping=translational_damping,
            translational_clip=translational_clip,
            rotational_stiffness=rotational_stiffness,
            rotational_damping=rotational_damping,
            rotational_clip=rotational_clip,
            gripper_force=gripper_force,
            gripper_speed=gripper_speed,
        )
    limits = limits_within(
        TABLES[variant],
        workspace_low=tuple(workspace_low),
        workspace_high=tuple(workspace_high),
        max_rotation=max_rotation,
        max_force=max_force,
        force_trip=force_trip,
        force_filter=force_filter,
        hold_after_ns=round(hold_after * NS),
        stop_after_ns=round(stop_after * NS),
        velocity=velocity,
        angular_velocity=angular_velocity,
        joint_speed=joint_speed,
    )
    world = SimWorld(
        gains,
        table=TABLES[variant],
        cameras=tuple(cameras),
        image_size=(image_size[0], image_size[1]),
        real_time=real_time,
    )
    robot = SafeRobot(
        SimRobot(world, teleport_resets=teleport_resets),
        (limits,),
        stream_resets=not teleport_resets,
        rearm_on_reset=True,
    )
    return Bundle(robot, world)
