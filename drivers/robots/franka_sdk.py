"""franky, or None where the extra `franka` is not installed; and what it raises."""

from __future__ import annotations

from typing import Any

franky: Any
try:
    import franky

    SDK_ERRORS: tuple[type[Exception], ...] = (
        franky.Exception,
        franky.CommandException,
        franky.ControlException,
        franky.NetworkException,
        franky.ProtocolException,
        franky.RealtimeException,
        franky.IncompatibleVersionException,
        franky.InvalidOperationException,
        franky.InvalidMotionTypeException,
        franky.GripperException,
        ValueError,
    )
except ImportError:  # an optional extra
    franky = None
    SDK_ERRORS = ()
