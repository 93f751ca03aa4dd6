"""The type of the fixture `refused`."""

from __future__ import annotations

from collections.abc import Callable

Refused = Callable[..., str]
