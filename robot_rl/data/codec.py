"""Lossless images in the log: an ENCODED payload is the records less their images, then the images.

Layout, little-endian: `count` records without image fields; a table (count, images) of uint32 sizes
whose top bit says "raw"; the images' bytes one after the other. An image is PNG where that is
smaller and cv2 can hold it (1, 3 or 4 channels), else raw. Channels keep the order they have in
the record (RGB), which a PNG viewer that reads the bytes shows with red and blue exchanged.
"""

from __future__ import annotations

import struct

import numpy as np

from robot_rl.errors import DataError
from robot_rl.specs import EnvSpec
from robot_rl.types import Array
from robot_rl.wire.record import record_dtype

RAW_BIT = np.uint32(1 << 31)
PNG_LEVEL = 1
MAX_DECODED = 1 << 30
"""Bytes of a chunk's decoded records: as many as an unencoded chunk may have."""
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""What every PNG begins with; width, height, depth and colour type follow."""
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""A PNG's, by channels."""


def image_fields(spec: EnvSpec) -> list[str]:
    """Record fields that hold images."""
    return [f"obs.{name}" for name in spec.image_keys]


def lean_dtype(full: np.dtype, spec: EnvSpec) -> np.dtype:
    """A record's dtype less its images, packed."""
    images = set(image_fields(spec))
    names = [name for name in full.names or () if name not in images]
    return np.dtype([(name, full[name].base, full[name].shape) for name in names])


def encode(records: Array, spec: EnvSpec) -> bytes:
    """An ENCODED payload of `records` (n,)."""
    lean = np.empty(len(records), lean_dtype(records.dtype, spec))
    for name in lean.dtype.names or ():
        lean[name] = records[name]
    fields = image_fields(spec)
    sizes = np.zeros((len(records), len(fields)), "<u4")
    blobs = []
    for row, record in enumerate(records):
        for column, name in enumerate(fields):
            blob, raw = _encode_image(record[name])
            sizes[row, column] = np.uint32(len(blob)) | (RAW_BIT if raw else np.uint32(0))
            blobs.append(blob)
    return b"".join([lean.tobytes(), sizes.tobytes(), *blobs])


def decode(
    payload: bytes | memoryview, count: int, spec: EnvSpec, dtype: np.dtype | None = None
) -> Array:
    """The records (count,) of an ENCODED payload, byte-equal to what was encoded.

    dtype: that of the records where it is not today's. Raises DataError on sizes that do not add
    up or an image that does not decode.
    """
    view = memoryview(payload).cast("B")
    dtype = record_dtype(spec) if dtype is None else dtype
    lean, sizes, offset = _split(view, count, spec, dtype)
    records = np.zeros(count, dtype)
    for name in lean.dtype.names or ():
        records[name] = lean[name]
    for row in range(count):
        for column, name in enumerate(image_fields(spec)):
            size = int(sizes[row, column] & ~RAW_BIT)
            blob = view[offset : offset + size]
            _decode_image(blob, bool(sizes[row, column] & RAW_BIT), records[name][row])
            offset += size
    return records


def decode_lean(payload: bytes | memoryview, count: int, spec: EnvSpec) -> Array:
    """The records (count,) less their images, without decoding those; raises DataError on sizes
    that do not add up."""
    return _split(memoryview(payload).cast("B"), count, spec, record_dtype(spec))[0]


def _split(view: memoryview, count: int, spec: EnvSpec, full: np.dtype) -> tuple[Array, Array, int]:
    dtype, images = lean_dtype(full, spec), len(spec.image_keys)
    table = count * dtype.itemsize
    start = table + 4 * count * images
    if len(view) < start:
        raise DataError(f"an encoded chunk of {len(view)} bytes; {count} records need {start}")
    lean = np.frombuffer(view[:table], dtype)
    sizes = np.frombuffer(view[table:start], "<u4").reshape(count, images)
    decoded = count * full.itemsize
    if decoded > MAX_DECODED:
        raise DataError(f"an encoded chunk of {decoded} decoded bytes; at most {MAX_DECODED}")
    total = start + int((sizes & ~RAW_BIT).sum(dtype=np.int64))
    if total != len(view):
        raise DataError(f"an encoded chunk of {len(view)} bytes; its image table says {total}")
    return lean, sizes, start


def _encode_image(image: Array) -> tuple[bytes, bool]:
    import cv2  # heavy to load, and logs without images never need it

    if image.shape[2] in (1, 3, 4):
        done, png = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
        if done and png.nbytes < image.nbytes:
            return png.tobytes(), False
    return image.tobytes(), True


def _decode_image(blob: memoryview, raw: bool, out: Array) -> None:
    if raw:
        if len(blob) != out.nbytes:
            raise DataError(f"a raw image of {len(blob)} bytes; valid: {out.nbytes}")
        out[:] = np.frombuffer(blob, np.uint8).reshape(out.shape)
        return
    import cv2

    if not _is_plain_png(blob, out.shape):
        raise DataError(f"an image of the chunk is not a PNG of shape {list(out.shape)}")
    try:
        image = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"an image of the chunk does not decode: {error}") from error
    if image is None or image.size != out.size or image.dtype != np.uint8:
        raise DataError(f"an image of the chunk is not a PNG of shape {list(out.shape)}")
    out[:] = image.reshape(out.shape)


def _is_plain_png(blob: memoryview, shape: tuple[int, ...]) -> bool:
    """A PNG as `_encode_image` makes them: this shape, 8 bits, parts that end where the blob does.

    Looked at before decoding: 194 bytes with a wrong length field took the decoder 830 MiB.
    """
    height, width, channels = shape
    kind = COLOUR_TYPES.get(channels, -1) & 0xFF
    start = PNG_START + struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    if bytes(blob[: len(start)]) != start:
        return False
    place, name = len(start) + 4, b""
    while place + 12 <= len(blob) and name != b"IEND":
        size, name = struct.unpack_from(">I4s", blob, place)
        if name not in (b"IDAT", b"IEND"):
            return False
        place += 12 + size
    return name == b"IEND" and place == len(blob)
