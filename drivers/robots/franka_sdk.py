"""franky, or None where the extra `franka` is not installed; and what it raises."""

from __future__ import annotations

import importlib
from typing import Any

RAISED = (
    "Exception",
    "CommandException",
    "ControlException",
    "NetworkException",
    "ProtocolException",
    "RealtimeException",
    "IncompatibleVersionException",
    "InvalidOperationException",
    "InvalidMotionTypeException",
    "GripperException",
)
try:
    franky: Any = importlib.import_module("franky")
except ModuleNotFoundError:  # an optional extra
    franky = None
SDK_ERRORS: tuple[type[Exception], ...] = (
    () if franky is None else (ValueError, *(getattr(franky, name) for name in RAISED))
)
