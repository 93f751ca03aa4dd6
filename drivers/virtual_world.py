"""The `World` of hardware: what a task draws in the air, and no object that one could touch."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

from robot_rl.errors import PoisonedDataError, SpecError, suggest
from robot_rl.interfaces import Camera
from robot_rl.types import Array, Scene


class VirtualWorld:
    """Keeps the poses of virtual objects: bodies whose geoms collide with nothing (reach's target).

    A scene with anything solid is refused: where that is, only a camera could tell.
    """

    def __init__(self) -> None:
        self._poses: dict[str, Array | None] = {}

    def build(self, scene: Scene) -> None:
        """SpecError naming the first object that is not virtual."""
        root = ElementTree.fromstring(f"<worldbody>{scene.mjcf}</worldbody>")
        solid = [body.get("name", "?") for body in root.iter("body") if not _is_virtual(body)]
        if solid or scene.joints or scene.held:
            what = [*solid, *scene.joints, *(["what the hand holds"] if scene.held else [])]
            raise SpecError(
                f"the task needs {', '.join(what)}, and this robot has no world that sees them; "
                "valid: tasks with virtual objects only (task=reach), or a World that tracks them"
            )
        self._poses = dict.fromkeys(scene.objects)

    def reset(self, rng: np.random.Generator) -> None:
        self._poses = dict.fromkeys(self._poses)

    def object_pose(self, name: str) -> Array:
        pose = self._poses[self._known(name)]
        if pose is None:
            raise SpecError(f"'{name}' was not placed yet; the task's reset does that")
        return pose.copy()

    def set_object_pose(self, name: str, pose: Array) -> None:
        at = np.array(pose, np.float64)
        if not np.isfinite(at).all():
            raise PoisonedDataError(f"pose of '{name}': {at.tolist()}; valid: finite")
        self._poses[self._known(name)] = at

    def joint_position(self, name: str) -> float:
        raise SpecError(f"no joint '{name}': a virtual world has none")

    def set_joint_position(self, name: str, position: float) -> None:
        raise SpecError(f"no joint '{name}': a virtual world has none")

    def cameras(self) -> Mapping[str, Camera]:
        return {}

    def _known(self, name: str) -> str:
        if name not in self._poses:
            raise SpecError(f"no object '{name}' in the scene; {suggest(name, self._poses)}")
        return name


def _is_virtual(body: ElementTree.Element) -> bool:
    """Whether a body touches nothing and cannot move by itself."""
    moving = body.find("joint") is not None or body.find("freejoint") is not None
    geoms = body.findall("geom")
    passive = all(g.get("contype") == "0" and g.get("conaffinity") == "0" for g in geoms)
    return passive and not moving
