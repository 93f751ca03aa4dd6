"""The world of a robot in a driver process: a simulation's objects and cameras, or virtual ones."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from robot_rl.drivers.remote.link import DriverLink
from robot_rl.drivers.remote.messages import Request, generator_state, set_generator_state
from robot_rl.interfaces import Camera
from robot_rl.types import Array, Frame, Scene


class RemoteWorld:
    """A `World` that asks the driver. One question each call, some 0.1 ms."""

    def __init__(self, link: DriverLink) -> None:
        self._link = link
        self._scene = ""
        link.on_start.append(self._build_again)

    def build(self, scene: Scene) -> None:
        self._link.begin()
        text = msgspec.json.encode(scene).decode()
        self._link.ask(Request("build", text=text))
        self._scene = text

    def reset(self, rng: np.random.Generator) -> None:
        answer = self._link.ask(Request("reset_world", text=generator_state(rng)))
        set_generator_state(rng, answer.text)

    def object_pose(self, name: str) -> Array:
        return np.array(self._link.ask(Request("object_pose", name=name)).rows[0])

    def set_object_pose(self, name: str, pose: Array) -> None:
        rows = [np.asarray(pose, np.float64).tolist()]
        self._link.ask(Request("set_object_pose", name=name, rows=rows))

    def joint_position(self, name: str) -> float:
        return self._link.ask(Request("joint_position", name=name)).rows[0][0]

    def set_joint_position(self, name: str, position: float) -> None:
        self._link.ask(Request("set_joint_position", name=name, rows=[[float(position)]]))

    def cameras(self) -> Mapping[str, Camera]:
        answer = self._link.ask(Request("cameras"))
        names = answer.text.split("\n") if answer.text else []
        sizes = iter(answer.numbers)
        return {
            name: RemoteCamera(self._link, name, (next(sizes), next(sizes), next(sizes)))
            for name in names
        }

    def _build_again(self) -> None:
        if self._scene:
            self._link.ask(Request("build", text=self._scene))


class RemoteCamera:
    """A camera of the driver's world."""

    def __init__(self, link: DriverLink, name: str, shape: tuple[int, int, int]) -> None:
        self._link, self._name, self._shape = link, name, shape

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> tuple[int, int, int]:
        return self._shape

    def read(self) -> Frame:
        answer = self._link.ask(Request("image", name=self._name))
        *shape, stamp_ns, boot_id = answer.numbers
        image = np.frombuffer(answer.data, np.uint8).reshape(shape)
        return Frame(self._name, image, stamp_ns, boot_id)

    def close(self) -> None:
        """The driver frees its renderer when it ends."""
