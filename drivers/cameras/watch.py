"""When a frame must not be acted on: it is late, or shows the same for too long."""

from __future__ import annotations

import numpy as np

from robot_rl.errors import ConfigError
from robot_rl.timing import NS
from robot_rl.types import Array, Frame


class FrameWatch:
    """Judges the frames of one camera in the order in which they are read.

    watch = FrameWatch(max_age_s=0.2, max_same=5)
    if reason := watch.reason(frame, clock.now_ns()): ...

    A frame is frozen when its stamp, or each of its pixels, is the last one's for `max_same` reads
    in a row: a real sensor's noise never repeats. Of a simulated camera this is no fault.
    """

    def __init__(self, *, max_age_s: float = 0.2, max_same: int = 5) -> None:
        if not 0.0 < max_age_s < float("inf") or max_same < 1:
            raise ConfigError(
                f"camera: max_age_s={max_age_s}, max_same={max_same}; valid: above 0, 1 or more"
            )
        self._max_age_ns, self._max_same = round(max_age_s * NS), max_same
        self._last: Frame | None = None
        self._same = 0

    def reason(self, frame: Frame, now_ns: int) -> str:
        """Why not; empty when the frame is good. `now_ns` in the clock of the frame's stamp."""
        last, self._last = self._last, frame
        repeated = last is not None and (
            frame.stamp_ns == last.stamp_ns or same_image(frame.image, last.image)
        )
        self._same = self._same + 1 if repeated else 0
        age = now_ns - frame.stamp_ns
        if age > self._max_age_ns:
            return f"late: {age / 1e6:.0f} ms old, at most {self._max_age_ns / 1e6:.0f}"
        if self._same >= self._max_same:
            return f"frozen: the same picture {self._same + 1} times"
        return ""


def same_image(a: Array, b: Array) -> bool:
    """Whether two images are equal in each pixel."""
    return a is b or np.array_equal(a, b)
