"""How inputs are scaled before a network sees them, the same in a policy (NumPy) and in learning
(agents/common/scaling.py). No torch.

    standard   z = (x - mean) / deviation
    log        sign(z) · log(1 + |z|)

A deviation has a floor, so what hardly moved in the data at hand is never blown up without bound;
`log` keeps what lies far outside of it within reach all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.types import Array

InputScaling: TypeAlias = Literal["none", "standard", "log"]
MEAN, DEVIATION, LOG = "scale.mean", "scale.deviation", "scale.log"
"""Of a policy's weights: (width,), (width,), and (1,) above 0 for `log`; all there or none."""


class InputScale:
    """`scale.load(weights)`, then `scale(x)` in place, for inputs (width,) float32."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._mean, self._deviation = np.zeros(width, np.float32), np.ones(width, np.float32)
        self._signed = np.zeros(width, np.float32)
        self._on = self._log = False

    def check(self, weights: Mapping[str, Array]) -> None:
        """SpecError on arrays that are incomplete or misshapen, PoisonedDataError on a deviation
        that is not above 0 or on NaN."""
        shapes = {MEAN: (self._width,), DEVIATION: (self._width,), LOG: (1,)}
        found = [name for name in shapes if name in weights]
        if not found:
            return
        for name, shape in shapes.items():
            if name not in weights or weights[name].shape != shape:
                got = list(weights[name].shape) if name in weights else "none"
                raise SpecError(f"policy weights '{name}': got {got}, valid: {list(shape)}")
            if not np.isfinite(weights[name]).all():
                raise PoisonedDataError(f"policy weights '{name}' hold NaN or infinity")
        if not (weights[DEVIATION] > 0.0).all():
            raise PoisonedDataError(f"policy weights '{DEVIATION}': {weights[DEVIATION].min()}")

    def load(self, weights: Mapping[str, Array]) -> None:
        """Takes what `check` lets pass; without such arrays inputs stay as they are."""
        self._on = MEAN in weights
        self._log = self._on and bool(weights[LOG][0] > 0.0)
        if self._on:
            self._mean[:], self._deviation[:] = weights[MEAN], weights[DEVIATION]

    def __call__(self, x: Array) -> None:
        if not self._on:
            return
        np.subtract(x, self._mean, out=x)
        np.divide(x, self._deviation, out=x)
        if self._log:
            np.copyto(self._signed, x)
            np.abs(x, out=x)
            np.log1p(x, out=x)
            np.copysign(x, self._signed, out=x)
