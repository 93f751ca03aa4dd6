"""Cameras of the simulated world: offscreen rendering without shadows or multisampling."""

from __future__ import annotations

import os

from robot_rl.drivers.mujoco.clock import SimClock
from robot_rl.drivers.mujoco.model import mujoco
from robot_rl.errors import ConfigError
from robot_rl.types import Array, Frame


class SimRenderer:
    """One offscreen context for all cameras, made at the first image."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, size: tuple[int, int]) -> None:
        """`size` is (height, width) in pixels."""
        self.size = size
        self._model, self._data = model, data
        self._renderer: mujoco.Renderer | None = None

    def image(self, camera: str) -> Array:
        """(height, width, 3) uint8 RGB of the present state; ConfigError without a renderer."""
        if self._renderer is None:
            try:
                self._renderer = mujoco.Renderer(self._model, *self.size)
            except (mujoco.FatalError, RuntimeError, AttributeError) as error:  # "disabled"
                raise ConfigError(
                    f"no offscreen rendering with MUJOCO_GL='{os.environ.get('MUJOCO_GL', '')}' "
                    f"({error}); valid: 'egl', set before mujoco is first imported"
                ) from error
            self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
            self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._renderer.update_scene(self._data, camera)
        image: Array = self._renderer.render()
        return image

    def close(self) -> None:
        """Frees the context; may be called twice."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


class SimCamera:
    """A `Camera` of the scene."""

    def __init__(self, name: str, renderer: SimRenderer, clock: SimClock) -> None:
        self._name = name
        self._renderer = renderer
        self._clock = clock

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> tuple[int, int, int]:
        return (*self._renderer.size, 3)

    def read(self) -> Frame:
        """Renders the present state."""
        return Frame(
            self._name,
            self._renderer.image(self._name),
            self._clock.now_ns(),
            self._clock.boot_id,
        )

    def close(self) -> None:
        """Frees the shared renderer; the next `read` makes a new one."""
        self._renderer.close()
