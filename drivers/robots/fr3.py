"""The Franka FR3 behind its safety layer, with a world of virtual objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.drivers.limits import TABLES, limits_within
from robot_rl.drivers.mujoco.kinematics import ArmKinematics
from robot_rl.drivers.mujoco.model import ARM_JOINTS
from robot_rl.drivers.mujoco.world import SimWorld
from robot_rl.drivers.robots.franka import FrankaRobot
from robot_rl.drivers.robots.franka_config import FLANGE_TO_TCP, HOME, FrankaConfig
from robot_rl.drivers.robots.franka_doctor import examine
from robot_rl.drivers.safe_robot import SafeRobot
from robot_rl.drivers.virtual_world import VirtualWorld
from robot_rl.errors import ConfigError, suggest
from robot_rl.interfaces import Bundle, Kinematics
from robot_rl.timing import NS
from robot_rl.types import Scene

__all__ = ["examine", "make"]


def make(
    *,
    address: str | None,
    variant: str = "fr3",
    workspace_low: Sequence[float],
    workspace_high: Sequence[float],
    max_rotation: float = 0.9,
    velocity: float = 0.3,
    angular_velocity: float = 1.5,
    acceleration: float | None = None,
    angular_acceleration: float | None = None,
    max_force: float = 20.0,
    force_trip: float = 30.0,
    force_filter: float = 0.05,
    hold_after: float = 0.15,
    stop_after: float = 0.3,
    translational_stiffness: float = 2000.0,
    translational_damping: float = 89.0,
    translational_clip: float = 0.01,
    rotational_stiffness: float = 75.0,
    rotational_damping: float = 7.0,
    rotational_clip: float = 0.1,
    posture_stiffness: float = 5.0,
    collision_torque: float = 30.0,
    collision_force: float = 40.0,
    load_mass: float = 0.0,
    load_centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    tool: Sequence[float] = FLANGE_TO_TCP,
    home: Sequence[float] = HOME,
    reset_speed: float = 0.15,
    gripper: bool = True,
    gripper_speed: float = 0.1,
    state_stale: float = 0.1,
    dry_run: bool = False,
    real_time_kernel: bool = True,
) -> Bundle:
    """The arm at `address`. Units SI; see Limits and FrankaConfig. ConfigError or SafetyError when
    a value is missing, or asks for too much."""
    if variant not in TABLES:
        raise ConfigError(f"robot variant '{variant}'; {suggest(variant, TABLES)}")
    config = FrankaConfig(
        address=address or "",
        translational_stiffness=translational_stiffness,
        translational_damping=translational_damping,
        translational_clip=translational_clip,
        rotational_stiffness=rotational_stiffness,
        rotational_damping=rotational_damping,
        rotational_clip=rotational_clip,
        posture_stiffness=posture_stiffness,
        collision_torque=collision_torque,
        collision_force=collision_force,
        load_mass=load_mass,
        load_centre=load_centre,
        tool=tuple(tool),
        home=tuple(home),
        reset_speed=reset_speed,
        gripper=gripper,
        gripper_speed=gripper_speed,
        state_stale=state_stale,
        dry_run=dry_run,
        real_time=real_time_kernel,
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
        acceleration=acceleration,
        angular_acceleration=angular_acceleration,
    )
    robot = FrankaRobot(config, limits, twin_kinematics())
    return Bundle(SafeRobot(robot, (limits,), stream_resets=False), VirtualWorld())


def twin_kinematics() -> Kinematics:
    """The published kinematics of the simulated arm."""
    world = SimWorld()
    world.build(Scene(""))
    joints = [world.model.joint(name) for name in ARM_JOINTS]
    return ArmKinematics(
        world.model,
        world.home_qpos,
        np.array([int(joint.qposadr[0]) for joint in joints]),
        np.array([int(joint.dofadr[0]) for joint in joints]),
        world.model.site("tcp").id,
    )
