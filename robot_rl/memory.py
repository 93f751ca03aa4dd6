"""Large buffers that come and go without the kernel giving and taking their pages each time."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
KEEP_BYTES = 256 << 20


def keep_heap() -> bool:
    """Lets the C library keep up to 256 MiB of freed memory; True where it can (glibc).

    A process that moves messages of 100 kB and more otherwise pays a page fault for every 4 kB of
    every message. What is in flight is bounded elsewhere, so this is too.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = (
        (_M_MMAP_THRESHOLD, 32 << 20),
        (_M_TRIM_THRESHOLD, KEEP_BYTES),
        (_M_TOP_PAD, 16 << 20),
    )
    return sum(bool(mallopt(key, value)) for key, value in wanted) == len(wanted)
