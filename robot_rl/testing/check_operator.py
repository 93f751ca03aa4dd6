"""Conformance of an operator: what every `teleop` config must pass.

    check_operator(make_operator(), environment)       # an environment that has been reset

Each check raises SpecError saying what was wrong and what is valid. Whoever holds a device may move
and press during the call; nobody has to.
"""

from __future__ import annotations

import time

import numpy as np

from robot_rl.errors import SpecError
from robot_rl.interfaces import Operator, RobotEnvironment
from robot_rl.types import Context, Event, OperatorSample

READINGS = 50


def check_operator(operator: Operator, environment: RobotEnvironment) -> None:
    """Runs every check, and closes the operator twice."""
    if not isinstance(operator, Operator):
        names = ", ".join(n for n in ("read", "stopped", "close") if not hasattr(operator, n))
        raise SpecError(f"{type(operator).__name__} has no {names}; valid: an Operator")
    step = environment.step(environment.hold())
    hold = environment.hold()
    contexts = [
        Context(None, None, np.full_like(hold, np.nan)),
        Context(step, None, hold),
        Context(step, hold, hold),
    ]
    for index in range(READINGS):
        sample = operator.read(contexts[index % len(contexts)])
        if sample is not None:
            check_sample(sample, environment)
        if not isinstance(operator.stopped(), bool):
            raise SpecError(f"stopped() gave {operator.stopped()!r}; valid: a bool")
    operator.close()
    operator.close()


def check_sample(sample: OperatorSample, environment: RobotEnvironment) -> None:
    """One reading: motion, stamp, events."""
    if sample.stamp_ns > time.monotonic_ns():
        raise SpecError(f"stamp {sample.stamp_ns} is in the future of this process's clock")
    if not isinstance(sample.events, Event):
        raise SpecError(f"events {sample.events!r}; valid: Event")
    motion = sample.motion
    if motion is None:
        return
    if not isinstance(motion, np.ndarray):
        environment.encode(motion)
        return
    dim = environment.spec.action_dim
    if motion.shape != (dim,) or motion.dtype != np.float32:
        raise SpecError(f"motion of shape {motion.shape} {motion.dtype}; valid: ({dim},) float32")
    if np.isinf(motion).any():
        raise SpecError(f"motion {motion} is infinite; valid: finite, or NaN to hold")
    if (np.abs(motion) > 1.0).any():
        raise SpecError(f"motion {motion} is beyond [-1, 1]")
