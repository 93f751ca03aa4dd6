"""Random shifts of images (DrQ, 2004.13649): uint8 slices, 20 times cheaper than sampling."""

from __future__ import annotations

import numpy as np

from robot_rl.types import Array

PAD = 4
"""Largest shift in pixels."""


def shift_images(images: Array, shifts: Array, pad: int = PAD) -> Array:
    """Image n moved by `shifts[n]` = (down, right) - pad pixels, its edge repeated outside.

    images (N, height, width, channels) uint8; shifts (N, 2) integers in [0, 2 pad]. A copy.
    """
    rows, height, width, channels = images.shape
    out = np.empty_like(images)
    padded = np.empty((height + 2 * pad, width + 2 * pad, channels), images.dtype)
    for n in range(rows):
        padded[pad:-pad, pad:-pad] = images[n]
        padded[:pad], padded[-pad:] = padded[pad], padded[-pad - 1]
        padded[:, :pad], padded[:, -pad:] = padded[:, pad, None], padded[:, -pad - 1, None]
        down, right = shifts[n]
        out[n] = padded[down : down + height, right : right + width]
    return out
