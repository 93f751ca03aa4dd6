"""What each guard of the product does, taken out: for the planted-bug twins.

A twin runs the same fault and the same assertions with one of these switched off in its processes,
and must fail. They replace functions in the test's own process or in one started by fault_child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fault_points import find

GUARDS: dict[str, Callable[[], None]] = {}
_undo: list[tuple[Any, str, Any]] = []


def guard(function: Callable[[], None]) -> Callable[[], None]:
    """Registers a guard by its function's name."""
    GUARDS[function.__name__] = function
    return function


def replace(target: str, value: Any) -> Any:
    """Puts `value` where "module:Class.name" is; gives what was there."""
    owner, name, old = find(target)
    _undo.append((owner, name, owner.__dict__.get(name, old)))
    setattr(owner, name, value)
    return old


def disable(name: str) -> None:
    """Takes a guard out of this process."""
    GUARDS[name]()


@contextmanager
def without(*names: str) -> Iterator[None]:
    """The guards are out inside, and back afterwards."""
    mark = len(_undo)
    try:
        for name in names:
            disable(name)
        yield
    finally:
        while len(_undo) > mark:
            owner, name, old = _undo.pop()
            setattr(owner, name, old)
