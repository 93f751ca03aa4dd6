"""A camera read by a thread of its own: `read` gives the newest frame and never waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread

from robot_rl.drivers.cameras.watch import FrameWatch
from robot_rl.errors import ConfigError
from robot_rl.interfaces import Clock
from robot_rl.timing import MonotonicClock
from robot_rl.types import Array, Frame


class LatestFrameCamera:
    """A `Camera` around a blocking `grab`; frames in between two reads are dropped.

    A frame is stamped when `grab` returns, less the device's stated latency: exposure, transfer and
    decoding, which no driver reports. What is late, frozen or lost says so in `Frame.fault`.
    """

    def __init__(
        self,
        name: str,
        grab: Callable[[], Array | None],
        watch: FrameWatch,
        *,
        latency_ns: int = 0,
        clock: Clock | None = None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """Waits for the first frame; ConfigError when there is none.

        grab: the next image (height, width, 3) uint8 RGB, None once the device is lost; called by
        one thread, and after `close` no more. clock: the robot's; the host's monotonic one if left
        out. release: frees the device, after the last `grab`.
        """
        self.name = name
        self._grab, self._release, self._watch = grab, release, watch
        self._clock: Clock = clock or MonotonicClock()
        self._latency_ns = latency_ns
        image = grab()
        if image is None:
            release()
            raise ConfigError(f"camera '{name}' gave no first frame; is it there and not in use?")
        self._frame = self._stamped(image)
        self._lost = False
        self._closing = Event()
        self._thread = Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, colours = self._frame.image.shape
        return height, width, colours

    def read(self) -> Frame:
        """The newest frame, with `fault` where it must not be acted on."""
        lost, frame = self._lost, self._frame
        reason = self._watch.reason(frame, self._clock.now_ns())
        return replace(frame, fault="lost: the device gives no more frames" if lost else reason)

    def close(self) -> None:
        """Ends the thread and frees the device; may be called twice."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            self._release()

    def _run(self) -> None:
        while not self._closing.is_set():
            image = self._grab()
            if image is None:
                self._lost = True
                return
            self._frame = self._stamped(image)

    def _stamped(self, image: Array) -> Frame:
        stamp = self._clock.now_ns() - self._latency_ns
        return Frame(self.name, image, stamp, self._clock.boot_id)
