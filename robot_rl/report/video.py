"""MP4 files from RGB frames, with captions.

OpenCV's wheels carry no software H.264 encoder, and browsers do not play MPEG-4 part 2 ("mp4v"),
so the stream is VP9 in an MP4 container: Chromium and Firefox play it, as do VLC and mpv. Where
OpenCV was built without VP9 the file is written as "mp4v" and `plays_in_browser` says no.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from robot_rl.errors import DataError, SpecError
from robot_rl.types import Array

CODECS = ("vp09", "mp4v")
"""In order of preference."""
BROWSER_CODECS = ("vp09", "vp90", "avc1", "h264", "av01")
MIN_HEIGHT = 256
"""Captioned frames are enlarged to at least this height, px, so that the text can be read."""
GREEN, RED, WHITE = (80, 200, 120), (235, 90, 80), (255, 255, 255)


def write_mp4(path: Path, frames: Iterable[Array], fps: float) -> str:
    """Writes (H, W, 3) uint8 RGB frames, all of one size; gives the codec used.

    The file appears whole or not at all. An odd width or height loses its last column or row.
    Raises SpecError on a frame of another shape or dtype, DataError on no frames or no encoder.
    """
    path = Path(path)
    aside = path.with_name(f".{path.stem}-{os.getpid()}.mp4")
    stream = _checked(frames)
    first = next(stream, None)
    if first is None:
        raise DataError(f"{path}: no frames to write")
    if fps <= 0:
        raise DataError(f"{path}: {fps} frames/s; valid: above 0")
    height, width = first.shape[:2]
    writer, codec = _open(aside, fps, (width, height))
    try:
        writer.write(first)
        for frame in stream:
            if frame.shape != first.shape:
                raise SpecError(f"{path}: frame {frame.shape} after frames {first.shape}")
            writer.write(frame)
        writer.release()
        aside.replace(path)
    finally:
        writer.release()
        aside.unlink(missing_ok=True)
    return codec


def _open(path: Path, fps: float, size: tuple[int, int]) -> tuple[cv2.VideoWriter, str]:
    for codec in CODECS:
        fourcc = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, float(fps), size)
        if writer.isOpened():
            return writer, codec
    raise DataError(f"{path}: OpenCV cannot encode any of {', '.join(CODECS)} at {size}")


def _checked(frames: Iterable[Array]) -> Iterator[Array]:
    """BGR frames with even sides, contiguous."""
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise SpecError(
                f"frame {index}: {frame.dtype}{list(frame.shape)}, valid: uint8[height, width, 3]"
            )
        height, width = (side - side % 2 for side in frame.shape[:2])
        if not height or not width:
            raise SpecError(f"frame {index}: {list(frame.shape)} is too small, valid: 2x2 or more")
        yield np.ascontiguousarray(frame[:height, :width, ::-1])


def overlay(image: Array, text: str, success: bool | None = None) -> Array:
    """A copy of an RGB frame with a caption along its upper edge and, if given, the verdict."""
    height, width = image.shape[:2]
    factor = -(-MIN_HEIGHT // height) if height < MIN_HEIGHT else 1
    size = (width * factor, height * factor)
    frame = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST) if factor > 1 else image.copy()
    height, width = frame.shape[:2]
    scale = height / 600
    band = max(18, round(44 * scale))
    frame[:band] = (frame[:band] * 0.35).astype(np.uint8)
    _write(frame, text, (round(12 * scale) + 2, band - band // 3), scale, WHITE)
    if success is not None:
        word, colour = ("success", GREEN) if success else ("failure", RED)
        (length, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.4), 1)
        _write(frame, word, (width - length - 8, band - band // 3), scale, colour)
    return frame


def _write(
    frame: Array, text: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int]
) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(frame, text, at, font, max(scale, 0.4), colour, 1, cv2.LINE_AA)


def codec_of(path: Path) -> str:
    """Four-character code of a video's stream, "" when it cannot be read."""
    capture = cv2.VideoCapture(str(path))
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) if capture.isOpened() else 0
    capture.release()
    return code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ").lower()


def plays_in_browser(path: Path) -> bool:
    """True for codecs that Chromium and Firefox decode."""
    return codec_of(path) in BROWSER_CODECS
