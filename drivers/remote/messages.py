"""What is said over a driver's socket; states and commands go through the page instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np

from robot_rl.errors import (
    ConfigError,
    PoisonedDataError,
    RobotFault,
    RobotRLError,
    SafetyError,
    SpecError,
)
from robot_rl.limits import Limits

What = Literal[
    "hello",
    "connect",
    "move_to",
    "stop",
    "rearm",
    "close",
    "advance",
    "forward",
    "inverse",
    "build",
    "reset_world",
    "object_pose",
    "set_object_pose",
    "joint_position",
    "set_joint_position",
    "cameras",
    "image",
]
Rows = list[list[float]]
ERRORS: Mapping[str, type[RobotRLError]] = {
    kind.__name__: kind
    for kind in (RobotFault, SafetyError, SpecError, PoisonedDataError, ConfigError)
}
"""What a driver may raise at its client; any other error ends the driver."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call, with the arguments that it takes."""

    what: What
    name: str = ""
    """Of an object, joint or camera; of the role ("actor" or "person") in `hello`."""
    number: int = 0
    """Clock time (ns) to advance to; an arm's index; the caller's process id in `hello`."""
    rows: Rows = []
    text: str = ""
    """JSON: a scene, or the state of a random generator."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of a request; `error` names one of ERRORS, empty when it was done."""

    error: str = ""
    message: str = ""
    rows: Rows = []
    numbers: list[int] = []
    text: str = ""
    data: bytes = b""


class Info(msgspec.Struct, frozen=True):
    """What a driver says of its robot once, in answer to `hello`."""

    arms: int
    joints: int
    capabilities: int
    gripper_range: Rows
    gains: dict[str, float]
    base_poses: Rows
    limits: tuple[Limits, ...]
    host_clock: bool
    """The robot's clock is the host's CLOCK_MONOTONIC."""
    stepped: bool
    """Time passes only when the client asks for it (a simulated robot in training)."""
    world: bool
    pid: int
    reach: float = 0.0
    """Of the kinematics; 0 without."""


def raised(answer: Answer) -> RobotRLError:
    """The error that an answer tells of."""
    return ERRORS.get(answer.error, RobotFault)(answer.message)


def generator_state(rng: np.random.Generator) -> str:
    """The state of a PCG64 generator as JSON."""
    state: dict[str, Any] = dict(rng.bit_generator.state)
    if state.get("bit_generator") != "PCG64":
        raise ConfigError(f"a {state.get('bit_generator')} generator; valid: PCG64 (default_rng)")
    return json.dumps(state)


def set_generator_state(rng: np.random.Generator, text: str) -> None:
    """Takes over a state of `generator_state`."""
    rng.bit_generator.state = json.loads(text)
