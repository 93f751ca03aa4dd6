from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from robot_rl.errors import DataError, SpecError
from robot_rl.report.video import codec_of, overlay, plays_in_browser, write_mp4
from robot_rl.types import Array


def ramp(count: int, height: int = 96, width: int = 128) -> list[Array]:
    """Frames whose red half brightens while their blue half stays."""
    frames = []
    for index in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[:, : width // 2, 0] = 20 + 200 * index // count
        frame[:, width // 2 :, 2] = 180
        frames.append(frame)
    return frames


def read_back(path: Path) -> list[Array]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    capture.release()
    return frames


def test_frames_come_back_in_order_and_colour(tmp_path: Path) -> None:
    frames = ramp(12)
    write_mp4(tmp_path / "run.mp4", iter(frames), 10)
    back = read_back(tmp_path / "run.mp4")
    assert len(back) == len(frames)
    for written, read in zip(frames, back, strict=True):
        for column, channel in ((16, 0), (112, 2)):
            pixel = read[20:70, column, channel].mean()
            assert pixel == pytest.approx(written[20, column, channel], abs=16)
    assert [path.name for path in tmp_path.iterdir()] == ["run.mp4"]


def test_the_codec_is_one_that_browsers_play_where_opencv_has_it(tmp_path: Path) -> None:
    codec = write_mp4(tmp_path / "run.mp4", ramp(3), 10)
    names = {"vp09": ("vp90", "vp09"), "mp4v": ("mp4v", "fmp4")}[codec]
    assert codec_of(tmp_path / "run.mp4") in names
    assert plays_in_browser(tmp_path / "run.mp4") == (codec == "vp09")
    assert codec_of(tmp_path / "none.mp4") == ""


def test_odd_sizes_lose_one_row_and_column(tmp_path: Path) -> None:
    write_mp4(tmp_path / "run.mp4", ramp(2, 97, 129), 10)
    assert read_back(tmp_path / "run.mp4")[0].shape == (96, 128, 3)


@pytest.mark.parametrize(
    ("frames", "error", "says"),
    [
        ([], DataError, "no frames"),
        ([np.zeros((8, 8, 3), np.float32)], SpecError, "valid: uint8"),
        ([np.zeros((8, 8), np.uint8)], SpecError, "valid: uint8"),
        ([np.zeros((1, 8, 3), np.uint8)], SpecError, "too small"),
        ([*ramp(1, 96, 128), *ramp(1, 64, 128)], SpecError, "after frames"),
    ],
)
def test_bad_frames_leave_no_file_and_keep_the_old_one(
    tmp_path: Path, frames: list[Array], error: type[Exception], says: str
) -> None:
    path = tmp_path / "run.mp4"
    path.write_bytes(b"old")
    with pytest.raises(error, match=says):
        write_mp4(path, frames, 10)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_overlay_enlarges_and_draws_on_a_copy() -> None:
    image = np.full((128, 128, 3), 90, np.uint8)
    plain = overlay(image, "")
    shown = overlay(image, "episode 3  step 12", success=True)
    assert shown.shape == plain.shape == (256, 256, 3)
    assert (image == 90).all()
    assert (shown[40:] == 90).all()
    assert (shown[:18] != plain[:18]).any()
    assert (overlay(image, "x", success=False) != overlay(image, "x", success=True)).any()
    assert overlay(np.zeros((480, 640, 3), np.uint8), "x").shape == (480, 640, 3)
