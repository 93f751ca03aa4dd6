"""Cameras that OpenCV opens: V4L2 by index or path, network streams, video files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from robot_rl.drivers.cameras.latest import LatestFrameCamera
from robot_rl.drivers.cameras.watch import FrameWatch
from robot_rl.errors import ConfigError
from robot_rl.timing import NS
from robot_rl.types import Array


class OpenCVCamera(LatestFrameCamera):
    """`OpenCVCamera("wrist", 0)`, "/dev/video2", "rtsp://…", or a video file, played at its rate.

    Images are RGB, resized to `size` where one is given.
    """

    def __init__(
        self,
        name: str,
        source: int | str,
        *,
        size: Sequence[int] | None = None,
        fps: float | None = None,
        latency: float = 0.0,
        max_age: float = 0.2,
        max_same: int = 5,
        loop: bool = False,
    ) -> None:
        """size: (height, width) in pixels; fps: asked of the device, which may give another;
        latency: from exposure to `read`, s, taken off the stamp; max_age (s), max_same: see
        FrameWatch; loop: a file starts again at its end. ConfigError when it does not open."""
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ConfigError(f"camera '{name}': size {list(size)}; valid: height and width")
        if not 0.0 <= latency < 10.0:
            raise ConfigError(f"camera '{name}': latency {latency} s; valid: 0 to 10")
        self._size = None if size is None else (int(size[0]), int(size[1]))
        self._loop = loop
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise ConfigError(
                f"camera '{name}': OpenCV opens no '{source}'; valid: an index, a device's path, "
                "a stream's address or a video file"
            )
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        if self._size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[1])
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        is_file = isinstance(source, str) and Path(source).is_file()
        self._period_ns = round(NS / max(self._capture.get(cv2.CAP_PROP_FPS), 1.0)) * is_file
        self._due_ns = time.monotonic_ns()
        super().__init__(
            name,
            self._next,
            FrameWatch(max_age_s=max_age, max_same=max_same),
            latency_ns=round(latency * NS),
            release=self._capture.release,
        )

    def _next(self) -> Array | None:
        if self._period_ns:
            time.sleep(max(0, self._due_ns - time.monotonic_ns()) / NS)
            self._due_ns += self._period_ns
        there, image = self._capture.read()
        if not there and self._loop:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            there, image = self._capture.read()
        if not there:
            return None
        if self._size is not None and image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1], interpolation=cv2.INTER_AREA)
        colours: Array = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return colours
