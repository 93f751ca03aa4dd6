"""One SpaceMouse as pyspacemouse reads it: opened by path, drained whole, only axes stamped."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from robot_rl.errors import ConfigError, suggest
from robot_rl.types import Array

AXES = ("x", "y", "z", "roll", "pitch", "yaw")
CONVENTIONS = ("hid", "hid_z_up", "ros", "unity")
NEEDS_LIBRARY = "teleop=spacemouse needs pyspacemouse: pip install 'robot-rl[spacemouse]'"
NEEDS_HIDAPI = "teleop=spacemouse needs the system's HID library: apt install libhidapi-hidraw0"
MOST_REPORTS = 1000
"""Read in one go; a device sends about 125 a second."""
JITTER = 0.01
"""No hand holds all six axes within this share of full deflection for seconds."""


class Puck:
    """The state of one device after `drain`; no thread of its own.

    puck = Puck("/dev/hidraw3", "ros", now_ns=time.monotonic_ns)
    puck.drain()                    # every report that waits; OSError once it is unplugged
    puck.axes, puck.moved_ns        # (6,) in [-1, 1], and when the device last reported them
    """

    def __init__(self, path: str | None, convention: str, *, now_ns: Callable[[], int]) -> None:
        """Raises ConfigError where library, device or access to it is missing; path None: the only
        one that is plugged in."""
        if convention not in CONVENTIONS:
            raise ConfigError(
                f"teleop.axis_convention: '{convention}' is not valid; "
                f"{suggest(convention, CONVENTIONS)}"
            )
        try:
            import easyhid
            import pyspacemouse
        except ImportError as error:
            raise ConfigError(NEEDS_LIBRARY) from error
        self._lost: type[Exception] = easyhid.HIDException
        self._now_ns = now_ns
        self._reports = 0
        self.axes: Array = np.zeros(6)
        """(6,) translation and rotation in the convention, 1 = full deflection."""
        self.moved_ns = 0
        """When the newest report of axes came; battery and buttons do not count."""
        self.still_since_ns = 0
        """Since when no axis changed by more than JITTER."""
        self._level: Array = np.zeros(6)
        try:
            self.path = path or _only(pyspacemouse.get_connected_devices_by_path())
            with contextlib.redirect_stdout(io.StringIO()):  # it prints what it finds
                self._device: Any = pyspacemouse.open_by_path(
                    self.path, axis_convention=pyspacemouse.AxisConvention(convention)
                )
        except (AttributeError, OSError, RuntimeError, ValueError) as error:
            raise ConfigError(_why(error, path)) from error
        self._device.configure(callback=self._report, dof_callback=self._axes_came)
        self.buttons: tuple[str, ...] = self._device.info.button_names

    @property
    def name(self) -> str:
        return f"{self._device.name} at {self.path}"

    @property
    def pressed(self) -> frozenset[str]:
        """Names of the buttons that are down."""
        states = self._device._state.buttons  # `state` would read one more report
        return frozenset(name for name, on in zip(self.buttons, states, strict=True) if on)

    def drain(self, on_report: Callable[[], None] = lambda: None) -> int:
        """Takes every report that waits, `on_report` after each, and gives how many; OSError when
        the device is gone."""
        for taken in range(MOST_REPORTS):
            before = self._reports
            try:
                self._device.read()
            except self._lost as error:
                raise OSError(f"{self.name} does not answer: unplugged?") from error
            if self._reports == before:
                return taken
            on_report()
        return MOST_REPORTS

    def close(self) -> None:
        """Frees the device; may be called twice."""
        self._device.close()

    def _report(self, _: object) -> None:
        self._reports += 1

    def _axes_came(self, state: object) -> None:
        self.moved_ns = self._now_ns()
        self.axes = np.clip([getattr(state, axis) for axis in AXES], -1.0, 1.0)
        if np.abs(self.axes - self._level).max() > JITTER:
            self._level, self.still_since_ns = self.axes, self.moved_ns


def _only(devices: dict[str, str]) -> str:
    """The path of the one device that is there."""
    if len(devices) == 1:
        return next(iter(devices))
    found = ", ".join(f"{path} ({name})" for path, name in sorted(devices.items()))
    if not devices:
        raise ConfigError("teleop=spacemouse: no SpaceMouse is plugged in, or none may be read")
    raise ConfigError(f"teleop=spacemouse: which one? valid: teleop.path={found}")


def _why(error: Exception, path: str | None) -> str:
    if isinstance(error, AttributeError) or "HID API" in str(error):
        return NEEDS_HIDAPI
    if "Failed to open" in str(error):
        return (
            f"teleop.path: {path or 'the SpaceMouse'} cannot be opened; valid: a device that this "
            "user may read and write (a udev rule, or its group)"
        )
    return f"teleop.path: {error}"
