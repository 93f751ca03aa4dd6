"""A world that holds only numbers: simulated clock, objects, joints, cameras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from robot_rl.errors import PoisonedDataError, SpecError, suggest
from robot_rl.interfaces import Camera
from robot_rl.types import Array, Frame, Scene

TICK_NS = 10_000_000
"""Period of a fake robot's motion."""


class FakeClock:
    """Simulated time: `sleep_until` runs the periodic calls that fall due and jumps ahead."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._boot_id = 1
        self._periodic: list[tuple[int, Callable[[], None]]] = []

    @property
    def boot_id(self) -> int:
        return self._boot_id

    def now_ns(self) -> int:
        return self._now_ns

    def restart(self, boot_id: int) -> None:
        """A new time base at 0."""
        self._now_ns, self._boot_id = 0, boot_id

    def sleep_until(self, stamp_ns: int) -> None:
        while self._now_ns < stamp_ns:
            due = [period - self._now_ns % period for period, _ in self._periodic]
            self._now_ns = min([stamp_ns, *(self._now_ns + wait for wait in due)])
            for period, call in self._periodic:
                if self._now_ns % period == 0:
                    call()

    def every(self, period_ns: int, call: Callable[[], None]) -> None:
        if period_ns <= 0:
            raise SpecError(f"period {period_ns} ns; valid: above 0")
        self._periodic.append((period_ns, call))


class FakeWorld:
    """Objects and joints as a scene declares them, resting wherever they are put."""

    def __init__(self, cameras: Sequence[str] = (), size: tuple[int, int] = (16, 16)) -> None:
        """`cameras` are the names offered; `size` is (height, width)."""
        self.clock = FakeClock()
        self.poses: dict[str, Array] = {}
        self.joints: dict[str, float] = {}
        self._cameras = {name: FakeCamera(name, size, self.clock) for name in cameras}
        self._scene: Scene | None = None

    def build(self, scene: Scene) -> None:
        if self._scene is not None:
            raise SpecError("the world is already built")
        self._scene = scene
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        scene = self._built()
        self.clock.restart(int(rng.integers(1, 2**63)))
        self.poses = {name: np.eye(1, 7, 3)[0] for name in scene.objects}
        self.joints = dict.fromkeys(scene.joints, 0.0)

    def object_pose(self, name: str) -> Array:
        self._known(name, self.poses)
        return self.poses[name].copy()

    def set_object_pose(self, name: str, pose: Array) -> None:
        self._known(name, self.poses)
        check_array(f"pose of '{name}'", pose, (7,))
        self.poses[name] = np.array(pose, np.float64)

    def joint_position(self, name: str) -> float:
        self._known(name, self.joints)
        return self.joints[name]

    def set_joint_position(self, name: str, position: float) -> None:
        self._known(name, self.joints)
        if not math.isfinite(position):
            raise PoisonedDataError(f"joint '{name}': {position}; valid: finite")
        self.joints[name] = float(position)

    def cameras(self) -> Mapping[str, Camera]:
        return dict(self._cameras)

    def _built(self) -> Scene:
        if self._scene is None:
            raise SpecError("call world.build(scene) first")
        return self._scene

    def _known(self, name: str, valid: Mapping[str, object]) -> None:
        self._built()
        if name not in valid:
            raise SpecError(f"the scene has no '{name}'; {suggest(name, valid)}")


class FakeCamera:
    """Images whose pixels tell the time they were taken at, so that a stale one shows.

    `fault` is what the frames say of themselves, see `Frame`.
    """

    def __init__(self, name: str, size: tuple[int, int], clock: FakeClock) -> None:
        self.name = name
        self.shape = (*size, 3)
        self.fault = ""
        self._clock = clock

    def read(self) -> Frame:
        stamp = self._clock.now_ns()
        image = np.full(self.shape, stamp // TICK_NS % 256, np.uint8)
        return Frame(self.name, image, stamp, self._clock.boot_id, self.fault)

    def close(self) -> None:
        """Nothing to free."""


def check_array(what: str, array: Array, shape: tuple[int, ...]) -> None:
    """SpecError on another shape, PoisonedDataError on NaN or infinity."""
    if np.shape(array) != shape:
        raise SpecError(f"{what}: shape {np.shape(array)}, valid: {shape}")
    if not np.isfinite(array).all():
        raise PoisonedDataError(f"{what}: {np.asarray(array).tolist()}; valid: finite")
