"""Standard output as one JSON document, whatever else is printed."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass(slots=True)
class Answer:
    """Where `emit` writes while `json_alone` holds standard output, and whether it did."""

    stream: TextIO
    given: bool = False


_answers: list[Answer] = []
"""The innermost last."""


@contextmanager
def json_alone() -> Iterator[Answer]:
    """Within, only `emit` reaches standard output: all else, of libraries in C too, goes to
    standard error."""
    real = sys.stdout
    try:
        number = real.fileno()
    except (AttributeError, io.UnsupportedOperation):  # a test's or a notebook's own
        _answers.append(Answer(real))
        sys.stdout = sys.stderr
        try:
            yield _answers[-1]
        finally:
            sys.stdout = real
            _answers.pop()
        return
    real.flush()
    kept = os.dup(number)
    os.dup2(sys.stderr.fileno(), number)
    with os.fdopen(os.dup(kept), "w") as answer:
        _answers.append(Answer(answer))
        try:
            yield _answers[-1]
        finally:
            real.flush()
            _answers.pop()
            os.dup2(kept, number)
            os.close(kept)


def emit(result: dict[str, Any] | list[dict[str, Any]]) -> None:
    """One JSON document on standard output."""
    text = json.dumps(_finite(result), indent=2, default=str, allow_nan=False)
    if not _answers:
        print(text, flush=True)
        return
    _answers[-1].given = True
    print(text, file=_answers[-1].stream, flush=True)


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: null."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
