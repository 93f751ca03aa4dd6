"""What `robot-rl doctor` finds, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How much a finding matters."""

    GOOD = "ok"
    WARNING = "warn"
    """It works, worse than it could."""
    FAILURE = "FAIL"
    """It cannot work so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    grade: Grade
    found: str
    remedy: str = ""
    """What to do; empty where nothing need be done."""


def found(name: str, good: bool, text: str, remedy: str, worst: Grade = Grade.FAILURE) -> Finding:
    """A finding that is good, or `worst` with its remedy."""
    return Finding(name, Grade.GOOD, text) if good else Finding(name, worst, text, remedy)
