"""The `World` of a robot that has none: hardware without pose estimation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from robot_rl.errors import SpecError
from robot_rl.interfaces import Camera
from robot_rl.types import Array, Scene


class NullWorld:
    """Holds nothing; a task that asks for an object gets a SpecError that says so."""

    def build(self, scene: Scene) -> None:
        """Real objects are placed by hand."""

    def reset(self, rng: np.random.Generator) -> None:
        """Nothing to put back."""

    def object_pose(self, name: str) -> Array:
        self._refuse(name)

    def set_object_pose(self, name: str, pose: Array) -> None:
        self._refuse(name)

    def joint_position(self, name: str) -> float:
        self._refuse(name)

    def set_joint_position(self, name: str, position: float) -> None:
        self._refuse(name)

    def cameras(self) -> Mapping[str, Camera]:
        return {}

    def _refuse(self, name: str) -> NoReturn:
        raise SpecError(
            f"the robot has no world to ask for '{name}'; valid: a simulated robot, or a World "
            "fed by pose estimation"
        )
