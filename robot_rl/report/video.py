"""MP4 files from RGB frames, with captions.

OpenCV's wheels carry no software H.264 encoder, and browsers do not play MPEG-4 part 2 ("mp4v"),
so the stream is VP9 in an MP4 container: Chromium and Firefox play it, as do VLC and mpv. Where
OpenCV was built without VP9 the file is written as "mp4v" and `plays_in_browser` says no.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from robot_rl.errors import ConfigError, DataError, SpecError
from robot_rl.types import Array

CODECS = ("vp09", "mp4v")
"""In order of preference."""
BROWSER_CODECS = ("vp09", "vp90", "avc1", "h264", "av01")
MIN_HEIGHT = 256
"""Captioned frames are enlarged to at least this height, px, so that the text can be read."""
GREEN, RED, WHITE = (80, 200, 120), (235, 90, 80), (255, 255, 255)


class VideoWriter:
    """Frames to a file as they come; the file appears whole at the end, or not at all.

    with VideoWriter(path, fps) as video:
        video.add(frame)                    # (H, W, 3) uint8 RGB, all of one size
    """

    def __init__(self, path: Path, fps: float) -> None:
        """Raises ConfigError where the suffix names no format that is written here."""
        check_suffix(path)
        if not fps > 0:
            raise DataError(f"{path}: {fps} frames/s; valid: above 0")
        self.path, self.fps, self.codec = Path(path), fps, ""
        self._aside = self.path.with_name(f".{self.path.stem}-{os.getpid()}{self.path.suffix}")
        self._shape: tuple[int, ...] = ()
        self._writer: cv2.VideoWriter | None = None

    def add(self, frame: Array) -> None:
        """An odd width or height loses its last column or row. SpecError on another size."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise SpecError(
                f"frame: {frame.dtype}{list(frame.shape)}, valid: uint8[height, width, 3]"
            )
        height, width = (side - side % 2 for side in frame.shape[:2])
        if not height or not width:
            raise SpecError(f"frame: {list(frame.shape)} is too small, valid: 2x2 or more")
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer, self.codec = _open(self._aside, self.fps, (width, height))
            self._shape = frame.shape
        if frame.shape != self._shape:
            raise SpecError(f"{self.path}: frame {frame.shape} after frames {self._shape}")
        self._writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
        if kind is not None:
            self._aside.unlink(missing_ok=True)
        elif self._writer is None:
            raise DataError(f"{self.path}: no frames to write")
        else:
            self._aside.replace(self.path)


def write_mp4(path: Path, frames: Iterable[Array], fps: float) -> str:
    """Writes (H, W, 3) uint8 RGB frames with `VideoWriter`; gives the codec used."""
    with VideoWriter(path, fps) as video:
        for frame in frames:
            video.add(frame)
    return video.codec


def check_suffix(path: Path) -> None:
    """ConfigError where the suffix names no format that is written here."""
    if Path(path).suffix != ".mp4":
        raise ConfigError(f"video '{path}': valid: a name that ends in .mp4")


def as_frame(image: object) -> Array:
    """(H, W, 3) uint8 of what a `render()` gave: RGB or RGBA or gray, bytes or floats in 0 … 1,
    or a list of frames, of which the newest is taken. SpecError on anything else."""
    if isinstance(image, (list, tuple)) and image:
        image = image[-1]
    if image is None or isinstance(image, (list, tuple, str)):
        raise SpecError(f"render() gave {'None' if image is None else type(image).__name__}")
    frame = np.asarray(image)
    valid = "valid: uint8[height, width, 3], gray, RGBA, or floats in 0 … 1"
    if frame.ndim == 2:
        frame = frame[:, :, None]
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4) or 0 in frame.shape:
        raise SpecError(f"render() gave {frame.dtype}{list(frame.shape)}; {valid}")
    if frame.dtype.kind == "f" and frame.min() >= 0.0 and frame.max() <= 1.0:
        frame = np.rint(frame * 255.0).astype(np.uint8)
    if frame.dtype != np.uint8:
        raise SpecError(f"render() gave {frame.dtype} in {frame.min()} … {frame.max()}; {valid}")
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame[:, :, :3]


def _open(path: Path, fps: float, size: tuple[int, int]) -> tuple[cv2.VideoWriter, str]:
    for codec in CODECS:
        fourcc = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, float(fps), size)
        if writer.isOpened():
            return writer, codec
    raise DataError(f"{path}: OpenCV cannot encode any of {', '.join(CODECS)} at {size}")


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
