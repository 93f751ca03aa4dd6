"""franky, or None where the extra `franka` is not installed; what it raises, and its poses."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from robot_rl.geometry import matrix_from_quat, quat_normalise
from robot_rl.types import Array

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


def pose_of(affine: Any) -> Array:
    """franky's Affine as a pose (7,)."""
    x, y, z, w = affine.quaternion
    return np.concatenate([affine.translation, quat_normalise(np.array([w, x, y, z]))])


def affine(pose: Array) -> Any:
    w, x, y, z = pose[3:].tolist()
    return franky.Affine(pose[:3].copy(), np.array([x, y, z, w]))


def column_major(pose: Array) -> list[float]:
    """A pose as libfranka's (16,)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = matrix_from_quat(pose[3:]), pose[:3]
    return [float(value) for value in matrix.T.ravel()]
