"""What a robot measures of itself, as one vector of about unit range.

The learner has no normaliser: each part is divided by a fixed, documented scale. Poses are given
relative to the episode's start, and rotations as rotation vectors, never as Euler angles (which
jump); velocities, lead and wrench along the end effector's own axes, as actions in frame "ee".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_rl.errors import ConfigError, suggest
from robot_rl.geometry import matrix_from_quat, quat_conjugate, quat_multiply, rotvec_from_quat
from robot_rl.types import Array, RobotState

SCALES: dict[str, tuple[float, ...]] = {
    "position": (0.2,) * 3,  # m from the start, along the start's axes
    "rotation": (0.5,) * 3,  # rad, rotation vector from the start
    "velocity": (0.25,) * 3 + (1.0,) * 3,  # m/s and rad/s
    "lead": (0.02,) * 3 + (0.1,) * 3,  # m and rad from the measured to the emitted target pose
    "gripper": (1.0,) * 2,  # measured and emitted width, -1 closed to 1 open
    "wrench": (20.0,) * 3 + (5.0,) * 3,  # N and Nm
}
"""Parts of the proprioception, in order, with the physical value of 1."""
DEFAULT = ("position", "rotation", "velocity", "lead", "gripper")
CLIP = 5.0
"""No number of the vector is larger: a hard impact is not to shake the learner."""


class Proprioception:
    """Builds the vector (n_arms * width,) float32 from robot states."""

    def __init__(
        self, parts: Sequence[str], n_arms: int, gripper_range: tuple[Array, Array]
    ) -> None:
        """Raises ConfigError on an unknown part, or none at all."""
        if not parts:
            raise ConfigError(f"env.proprioception is empty; valid: some of {', '.join(SCALES)}")
        for part in parts:
            if part not in SCALES:
                raise ConfigError(f"env.proprioception: no part '{part}'; {suggest(part, SCALES)}")
        self.parts = tuple(part for part in SCALES if part in parts)
        self._n_arms = n_arms
        self._middle = (gripper_range[0] + gripper_range[1]) / 2
        self._half = (gripper_range[1] - gripper_range[0]) / 2
        self._scale = np.array([value for part in self.parts for value in SCALES[part]])
        self._start = np.zeros((n_arms, 7))

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """Names and widths of the parts, arm by arm."""
        prefix = [f"arm{i}." if self._n_arms > 1 else "" for i in range(self._n_arms)]
        return tuple((name + part, len(SCALES[part])) for name in prefix for part in self.parts)

    @property
    def scales(self) -> str:
        """The scales as text, for the environment's spec."""
        return ";".join(f"{part}={','.join(map(str, SCALES[part]))}" for part in self.parts)

    def begin(self, start: Array) -> None:
        """Start poses (n_arms, 7) of the episode."""
        self._start = start

    def __call__(self, state: RobotState) -> Array:
        arms = [self._arm(state, arm) / self._scale for arm in range(self._n_arms)]
        return np.clip(np.concatenate(arms), -CLIP, CLIP).astype(np.float32)

    def _arm(self, state: RobotState, arm: int) -> Array:
        start, pose, setpoint = self._start[arm], state.pose[arm], state.setpoint[arm]
        to_ee = matrix_from_quat(pose[3:]).T
        back = quat_conjugate(np.stack([start[3:], pose[3:]]))
        turns = rotvec_from_quat(quat_multiply(back, np.stack([pose[3:], setpoint[3:]])))
        values: list[Array] = []
        for part in self.parts:
            if part == "position":
                values.append(matrix_from_quat(start[3:]).T @ (pose[:3] - start[:3]))
            elif part == "rotation":
                values.append(turns[0])
            elif part == "lead":
                values += [to_ee @ (setpoint[:3] - pose[:3]), turns[1]]
            elif part == "gripper":
                widths = np.array([state.gripper_width[arm], state.gripper_setpoint[arm]])
                values.append((widths - self._middle[arm]) / self._half[arm])
            else:
                pair = state.twist[arm] if part == "velocity" else state.wrench[arm]
                values.append((to_ee @ pair.reshape(2, 3).T).T.ravel())
        return np.concatenate(values)
