"""Two manipulation tasks from packages, with scripted experts that act from observations alone.

  fetch_push   gymnasium-robotics 1.4.2, FetchPush-v4: 31 numbers, 4 actions, 25 Hz, 50 steps.
               Reward -1 a step, 0 while the block is within 5 cm of the goal; never terminates.
  cube_single  OGBench 1.2.2, cube-single-singletask-v0 (its default task: pick the cube at
               (.35, 0) up and put it to (.50, 0) m): 28 numbers, 5 actions, 20 Hz, 200 steps.
               Reward -1 a step until the cube is within 4 cm of the target; then it terminates.

Both go in as they come out of their package (env=gym env.id=...), with no setting of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_rl.types import Array


@dataclass(frozen=True, slots=True)
class ForeignTask:
    """An id for `env.id`, and who shows the task."""

    id: str
    expert: Callable[[Any], Array]
    """Of what the environment observes, in its own form."""
    package: str


def fetch_push_expert(obs: Mapping[str, Array]) -> Array:
    """Goes behind the block as seen from the goal, down, and pushes; (4,) in [-1, 1].

    The observation begins with gripper (3) and block (3). An action of 1 moves 5 cm.
    """
    goal, gripper, block = obs["desired_goal"], obs["observation"][:3], obs["observation"][3:6]
    to_goal = goal[:2] - block[:2]
    distance = float(np.linalg.norm(to_goal))
    if distance < 0.02:
        return np.zeros(4, np.float32)
    along = to_goal / distance
    offset = gripper[:2] - block[:2]
    ahead = float(offset @ along)
    aside = offset - ahead * along
    behind = ahead < -0.02 and float(np.linalg.norm(aside)) < 0.02
    target = gripper.copy()
    if behind and gripper[2] < block[2] + 0.02:  # push, and stay on the line through the goal
        target[:2] += min(0.05, 0.6 * distance) * along - aside
        target[2] = block[2]
    else:  # up, over to its far side, down
        start = block[:2] - 0.07 * along
        if np.linalg.norm(start - gripper[:2]) < 0.015:
            target[:2], target[2] = start, block[2]
        else:
            target[2] = block[2] + 0.08
            if gripper[2] > block[2] + 0.05:
                target[:2] = start
    action = np.zeros(4)
    action[:3] = np.clip((target - gripper) / 0.05, -1.0, 1.0)
    return action.astype(np.float32)


CENTRE, SCALE = np.array([0.425, 0.0, 0.0]), 10.0
"""OGBench's state has positions as (p - CENTRE) * SCALE."""
CUBE_TARGET = np.array([0.50, 0.0, 0.02])
"""Of the default task, m."""
CARRY, GRASPED = 0.12, 0.5


def cube_single_expert(obs: Array) -> Array:
    """Above the cube, down, close, up, over the target, down; (5,) in [-1, 1].

    The state is joints (6), their velocities (6), pinch position (3), cos and sin of its yaw,
    opening, contact, cube position (3), its quaternion (4), cos and sin of its yaw. Actions of 1
    are 5 cm, 0.3 rad and the whole stroke of the gripper (1 closes).
    """
    state = np.asarray(obs, np.float64)
    pinch, cube = state[12:15] / SCALE + CENTRE, state[19:22] / SCALE + CENTRE
    yaw, cube_yaw = np.arctan2(state[16], state[15]), np.arctan2(state[27], state[26])
    turn = (cube_yaw - yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
    holding = state[18] > GRASPED
    away = float(np.linalg.norm(cube[:2] - pinch[:2]))
    target, close = cube.copy(), -1.0
    if np.linalg.norm(cube - pinch) < 0.02:
        close = 1.0
        if holding:
            turn = 0.0
            aside = float(np.linalg.norm(CUBE_TARGET[:2] - cube[:2]))
            target = CUBE_TARGET.copy()
            if aside > 0.03:
                target[2] = CARRY
                if pinch[2] < CARRY - 0.03:
                    target[:2] = pinch[:2]
    elif away > 0.02:
        target[2] = max(CARRY, cube[2] + 0.1) if away > 0.04 else pinch[2]
    action = np.zeros(5)
    action[:3] = (target - pinch) / 0.05 * 0.5
    action[3] = turn / 0.3 * 0.5
    action[4] = close
    return np.clip(action, -1.0, 1.0).astype(np.float32)


TASKS = {
    "fetch_push": ForeignTask(
        "gymnasium_robotics:FetchPush-v4", fetch_push_expert, "gymnasium-robotics"
    ),
    "cube_single": ForeignTask("ogbench:cube-single-singletask-v0", cube_single_expert, "ogbench"),
}
