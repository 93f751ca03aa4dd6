"""Hover: keep the tool centre point above a disc on the table."""

import numpy as np

from robot_rl.envs.task_tools import in_tcp, pose_down, uniform
from robot_rl.types import CartesianCommand, Outcome, Scene

HEIGHT = 0.05


class Hover:
    name = "hover"

    def __init__(self, max_steps: int = 40, tolerance: float = 0.01):
        self.max_steps = max_steps
        self.tolerance = tolerance
        self.features = (("above", 3),)  # what `observe` gives: names and widths
        self.criteria = {"tolerance": tolerance}  # what decides success and reward
        self.scene = Scene(
            mjcf='<body name="disc"><geom type="cylinder" size="0.03 0.001" contype="0"'
            ' conaffinity="0" rgba="0.2 0.4 0.9 1"/></body>',
            objects=("disc",),  # bodies whose poses the task reads or sets
        )

    def reset(self, world, rng):
        """Places the objects; gives start poses (arms, 7) and gripper widths (arms,)."""
        place = uniform(rng, (0.42, 0.58), (-0.15, 0.15))
        world.set_object_pose("disc", np.array([*place, 0.001, 1.0, 0.0, 0.0, 0.0]))
        return pose_down(np.array([0.5, 0.0, 0.25]), 0.0)[None], np.array([0.08])

    def observe(self, world, state):
        """What a policy from state may know beyond proprioception: (3,) float32 of order one."""
        return (in_tcp(state, self._goal(world)) / 0.1).astype(np.float32)

    def evaluate(self, world, state):
        """Reward, success, termination, and figures for the log."""
        distance = float(np.linalg.norm(self._goal(world) - state.pose[0, :3]))
        done = distance < self.tolerance
        return Outcome(float(done), done, done, {"distance": distance})

    def expert(self, world, state):
        """The scripted expert: where the arm shall go from here."""
        return CartesianCommand(
            pose_down(self._goal(world), 0.0)[None], state.gripper_setpoint, state.stamp_ns
        )

    def _goal(self, world):
        return world.object_pose("disc")[:3] + np.array([0.0, 0.0, HEIGHT])
