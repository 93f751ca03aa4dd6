"""How a number in [-1, 1] becomes a gripper's width and back; every action space uses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_rl.errors import ConfigError, suggest
from robot_rl.types import Array

GRIPPER_MODES = ("absolute", "ternary", "velocity")
THRESHOLD = 0.5
"""A ternary gripper acts beyond it."""


@dataclass(frozen=True, slots=True)
class GripperMode:
    """Modes: "absolute" is proportional from -1 closed to 1 open; "ternary" closes below -0.5,
    opens above 0.5 and else keeps the width; "velocity" adds action * step to the width.

    Widths in m, values and widths shaped (arms,). Raises ConfigError on a value that is not valid.
    """

    mode: str
    step: float
    """m of width for an action of 1, in mode "velocity"."""
    closed: Array | float = 0.0
    """Widths (arms,) of closed and open grippers."""
    opened: Array | float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in GRIPPER_MODES:
            raise ConfigError(
                f"action.gripper_mode: '{self.mode}' is not valid; "
                f"{suggest(self.mode, GRIPPER_MODES)}"
            )
        if not 0.0 < self.step < np.inf:
            raise ConfigError(f"action.gripper_scale={self.step}; valid: above 0")

    @property
    def scale(self) -> Array | float:
        """m of width for an action of 1, of each arm."""
        span = self.opened - self.closed
        return {"absolute": span / 2, "ternary": span, "velocity": self.step}[self.mode]

    def widths(self, values: Array, present: Array) -> Array:
        """The widths that `values` ask for, from those emitted at `present`."""
        if self.mode == "absolute":
            return self.closed + (values + 1.0) / 2.0 * (self.opened - self.closed)
        if self.mode == "velocity":
            return np.clip(present + values * self.step, self.closed, self.opened)
        ends = np.where(values > 0.0, self.opened, self.closed)
        return np.where(np.abs(values) > THRESHOLD, ends, present)

    def values(self, before: Array, after: Array, hint: Array | float) -> Array:
        """The values that explain widths going from `before` to `after`.

        A ternary gripper maps several values to one width; `hint` decides among those.
        """
        span = self.opened - self.closed
        if self.mode == "absolute":
            return 2.0 * (after - self.closed) / span - 1.0
        change = after - before
        if self.mode == "velocity":
            return change / self.step
        wanted = np.where(np.abs(hint) > THRESHOLD, np.sign(hint), 0.0)
        agrees = np.abs(self.widths(wanted, before) - after) < 1e-3 * span
        return np.where(agrees, wanted, np.where(np.abs(change) > 0.5 * span, np.sign(change), 0.0))
