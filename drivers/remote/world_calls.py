"""A driver's world, served: requests about objects, joints and cameras."""

from __future__ import annotations

import msgspec
import numpy as np

from robot_rl.drivers.remote.messages import Answer, Request, generator_state, set_generator_state
from robot_rl.interfaces import World
from robot_rl.types import Scene

WORLD_CALLS = frozenset(
    {
        "build",
        "reset_world",
        "object_pose",
        "set_object_pose",
        "joint_position",
        "set_joint_position",
        "cameras",
        "image",
    }
)


class WorldCalls:
    """Answers the requests of WORLD_CALLS; where there is no world, with an error."""

    def __init__(self, world: World | None) -> None:
        self._world = world

    @property
    def there(self) -> bool:
        return self._world is not None

    def __call__(self, request: Request) -> Answer:
        world = self._world
        if world is None:
            return Answer(
                "SpecError", f"this robot's driver has no world to ask for {request.what}"
            )
        match request.what:
            case "build":
                world.build(msgspec.json.decode(request.text, type=Scene))
            case "reset_world":
                rng = np.random.default_rng(0)
                set_generator_state(rng, request.text)
                world.reset(rng)
                return Answer(text=generator_state(rng))
            case "object_pose":
                return Answer(rows=[world.object_pose(request.name).tolist()])
            case "set_object_pose":
                world.set_object_pose(request.name, np.array(request.rows[0]))
            case "joint_position":
                return Answer(rows=[[world.joint_position(request.name)]])
            case "set_joint_position":
                world.set_joint_position(request.name, request.rows[0][0])
            case "cameras":
                cameras = world.cameras()
                shapes = [size for camera in cameras.values() for size in camera.shape]
                return Answer(text="\n".join(cameras), numbers=shapes)
            case "image":
                frame = world.cameras()[request.name].read()
                return Answer(
                    data=frame.image.tobytes(),
                    numbers=[*frame.image.shape, frame.stamp_ns, frame.boot_id],
                )
        return Answer()
