"""Operators that are no device: nobody, and several as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from robot_rl.errors import ConfigError
from robot_rl.interfaces import Operator
from robot_rl.types import Context, Event, OperatorSample


class Nobody:
    """Implements `Operator`: always hands off."""

    def read(self, context: Context) -> OperatorSample | None:
        return None

    def stopped(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing to free."""


class Several:
    """Implements `Operator` by others: one moves, all may stop and judge.

    The first with hands on keeps the robot until it lets go; of several at once the first named.
    """

    def __init__(self, operators: Sequence[Operator]) -> None:
        """Raises ConfigError on an empty list."""
        if not operators:
            raise ConfigError("teleop.operators is empty; valid: one operator or more")
        self._operators = tuple(operators)
        self._moving: Operator | None = None

    def read(self, context: Context) -> OperatorSample | None:
        """The motion of the one that moves, with the events of all."""
        samples = [(one, one.read(context)) for one in self._operators]
        events = Event.NONE
        for _, sample in samples:
            if sample is not None:
                events |= sample.events
        on = {
            one: sample
            for one, sample in samples
            if sample is not None and sample.motion is not None
        }
        if self._moving not in on:
            self._moving = next(iter(on), None)
        if self._moving is not None:
            return replace(on[self._moving], events=events)
        newest = max((s.stamp_ns for _, s in samples if s is not None), default=None)
        return None if newest is None else OperatorSample(None, newest, events)

    def stopped(self) -> bool:
        return any(one.stopped() for one in self._operators)

    def close(self) -> None:
        """Closes all, whatever one of them raises."""
        with ExitStack() as stack:
            for one in self._operators:
                stack.callback(one.close)
