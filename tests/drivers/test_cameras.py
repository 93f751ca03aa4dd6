"""Cameras as devices: the newest frame, its stamp, and what is late, frozen or lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import cv2
import numpy as np
import pytest

from robot_rl.drivers.cameras.latest import LatestFrameCamera
from robot_rl.drivers.cameras.opencv import OpenCVCamera
from robot_rl.drivers.cameras.watch import FrameWatch
from robot_rl.errors import ConfigError
from robot_rl.testing.fakes import FakeClock
from robot_rl.timing import BOOT_ID
from robot_rl.types import Array, Frame

MS = 1_000_000


def frame(stamp_ms: int, shade: int) -> Frame:
    return Frame("front", np.full((4, 4, 3), shade, np.uint8), stamp_ms * MS, 1)


def until(holds: Callable[[], object]) -> None:
    """Waits for another thread; the test's own time limit ends it where it never holds."""
    while not holds():
        time.sleep(0.001)


def test_frames_of_any_age_up_to_the_limit_are_good() -> None:
    watch = FrameWatch(max_age_s=0.2)
    assert [watch.reason(frame(100 * k, k), (100 * k + 200) * MS) for k in range(20)] == [""] * 20
    assert watch.reason(frame(2000, 99), 2201 * MS) == "late: 201 ms old, at most 200"


def test_the_same_stamp_and_the_same_picture_are_frozen() -> None:
    for stuck in (lambda k: frame(100, k), lambda k: frame(100 * k, 7)):
        watch = FrameWatch(max_age_s=60.0, max_same=3)
        reasons = [watch.reason(stuck(k), 100 * k * MS) for k in range(6)]
        assert reasons[:3] == [""] * 3
        assert all("frozen: the same picture" in reason for reason in reasons[3:])
        assert watch.reason(frame(10_000, 200), 10_000 * MS) == ""


@pytest.mark.parametrize("options", [{"max_age_s": 0.0}, {"max_age_s": np.nan}, {"max_same": 0}])
def test_a_watch_that_judges_nothing_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="valid: above 0"):
        FrameWatch(**options)  # type: ignore[arg-type]


class Device:
    """Gives the images that a test puts in, and tells when it is waited for."""

    def __init__(self) -> None:
        self.images: Queue[Array | None] = Queue()
        self.released = 0

    def put(self, shade: int) -> None:
        self.images.put(np.full((4, 6, 3), shade, np.uint8))

    def release(self) -> None:
        self.released += 1


@pytest.mark.timeout(60)
def test_a_read_gives_the_newest_frame_and_says_when_it_is_late_or_lost() -> None:
    device, clock = Device(), FakeClock()
    clock.sleep_until(500 * MS)
    device.put(1)
    camera = LatestFrameCamera(
        "front",
        device.images.get,
        FrameWatch(max_age_s=0.2, max_same=2),
        latency_ns=30 * MS,
        clock=clock,
        release=device.release,
    )
    assert camera.shape == (4, 6, 3)
    first = camera.read()
    assert (first.stamp_ns, first.boot_id, first.fault) == (470 * MS, clock.boot_id, "")
    clock.sleep_until(600 * MS)
    for shade in (2, 3, 4):
        device.put(shade)
    until(lambda: camera._frame.image[0, 0, 0] == 4)
    newest = camera.read()
    assert newest.image[0, 0, 0] == 4
    assert (newest.stamp_ns, newest.fault) == (570 * MS, "")
    clock.sleep_until(771 * MS)
    assert camera.read().fault == "late: 201 ms old, at most 200"
    device.images.put(None)
    until(lambda: "lost" in camera.read().fault)
    camera.close()
    camera.close()
    assert device.released == 1


def test_a_device_without_a_first_frame_is_refused_and_freed() -> None:
    device = Device()
    device.images.put(None)
    with pytest.raises(ConfigError, match="gave no first frame"):
        LatestFrameCamera("front", device.images.get, FrameWatch(), release=device.release)
    assert device.released == 1


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twenty frames of 64 x 48, from dark to bright red."""
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 100.0, (64, 48))
    for k in range(20):
        image = np.zeros((48, 64, 3), np.uint8)
        image[..., 2] = 50 + 10 * k  # OpenCV writes blue, green, red
        writer.write(image)
    writer.release()
    return path


@pytest.mark.timeout(60)
def test_a_video_file_plays_as_a_camera_and_is_lost_at_its_end(video: Path) -> None:
    camera = OpenCVCamera("front", str(video), size=(24, 32), max_age=3600.0, max_same=10**6)
    try:
        assert camera.shape == (24, 32, 3)
        first = camera.read()
        red, green, blue = first.image.reshape(-1, 3).mean(0)
        assert red > 40 > 10 > max(green, blue)
        assert first.boot_id == BOOT_ID
        assert time.monotonic_ns() - first.stamp_ns >= 0
        until(lambda: "lost" in camera.read().fault)
        last = camera.read()
        assert last.image[..., 0].mean() > 200
        assert last.stamp_ns > first.stamp_ns
    finally:
        camera.close()


@pytest.mark.timeout(60)
def test_a_looping_file_goes_on(video: Path) -> None:
    camera = OpenCVCamera("front", str(video), loop=True, max_age=3600.0, max_same=10**6)
    try:
        until(lambda: camera.read().image[..., 0].mean() > 200)
        until(lambda: camera.read().image[..., 0].mean() < 100)
        assert camera.read().fault == ""
    finally:
        camera.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "/nowhere/at-all.mp4"}, "OpenCV opens no '/nowhere/at-all.mp4'; valid: an ind"),
        ({"source": 0, "size": (3,)}, "height and width"),
        ({"source": 0, "latency": -1.0}, "latency"),
    ],
)
def test_cameras_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OpenCVCamera("front", **options)  # type: ignore[arg-type]
