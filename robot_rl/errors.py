"""Typed errors: each message says what was wrong, where, and what is valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are no JSON, no msgpack, or not of the type asked for."""


class RobotRLError(Exception):
    """Base of every error a user can cause; the command line prints it as one line, exit code 2."""


class ConfigError(RobotRLError):
    """A configuration key, value, file or combination that is not valid."""


class SpecError(RobotRLError):
    """Data whose shape, dtype, bounds or meaning differs from its declared specification."""


class DataError(RobotRLError):
    """A dataset or log that is missing, torn, corrupt or of another format version."""


class CheckpointError(RobotRLError):
    """A checkpoint that is missing, torn or written by another agent or version."""


class InUseError(RobotRLError):
    """A run folder, socket, port or spool that another process holds."""


class WireError(RobotRLError):
    """A message or peer that breaks the protocol; the connection goes on without it."""


class HandshakeError(WireError):
    """A peer with another protocol version, specification or role."""


class PoisonedDataError(RobotRLError):
    """A NaN or infinity in an action, observation, reward or weight."""


class RobotFault(RobotRLError):
    """A latched fault of a robot or its safety layer; only a person re-arms."""


class UserCodeError(RobotRLError):
    """What an environment, wrapper or policy of the user's raised; its own error is the cause."""


class SafetyError(RobotRLError):
    """A safety configuration that would allow more than the declared limits."""


def suggest(name: str, valid: Iterable[str]) -> str:
    """Ends an error about an unknown name: `did you mean 'x'? valid: a, b, c`."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}valid: {', '.join(names)}"
