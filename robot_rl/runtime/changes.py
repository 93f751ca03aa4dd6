"""Hyperparameters that were changed in a resumed run, and from which step on: `<run>/changes.json`.

A resumed run learns with the values it had, unless a change was asked for by name. What was asked
for is written down before the processes start; the learner adds the step at which it went on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from robot_rl.data.whole_file import write_whole
from robot_rl.errors import UNREADABLE, CheckpointError
from robot_rl.runtime.checkpoint import config_changes

FILE = "changes.json"
MACHINE = (
    "demos.path",
    "demos.folder",
    "replay.memory_limit_gb",
    "agent.learner.device",
    "agent.learner.compile",
    "agent.learner.threads",
)
"""What only a machine decides: it may differ between two lives of a run."""


class Change(msgspec.Struct, frozen=True):
    key: str
    before: str
    """JSON, as is `after`."""
    after: str
    step: int | None = None
    """Environment steps learned from when it took effect; None until then."""


def read_changes(run: Path) -> list[Change]:
    """Every change, the oldest first; CheckpointError on a damaged file."""
    path = run / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Change])
    except FileNotFoundError:
        return []
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: {error}") from error


def ask(run: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Notes what a person asked for, as the difference of two configs."""
    changed = [
        Change(key, before.get(key, "unset"), now.get(key, "unset"))
        for key in [*before, *(key for key in now if key not in before)]
        if before.get(key) != now.get(key)
    ]
    if changed:
        _write(run, [*read_changes(run), *changed])


def take_effect(
    run: Path, checkpoint: Mapping[str, str], now: Mapping[str, str], step: int
) -> list[str]:
    """Lines `key: then -> now` of what differs from the checkpoint; notes at which step it did.

    Raises CheckpointError where something differs that nobody asked for.
    """
    then = {key: value for key, value in checkpoint.items() if key not in MACHINE}
    asked = {(change.key, change.after) for change in read_changes(run)}
    kept = {key: value for key, value in now.items() if (key, value) not in asked}
    others = {key: value for key, value in then.items() if (key, now.get(key, "")) not in asked}
    if unasked := config_changes(others, kept):
        raise CheckpointError(
            f"{run}/config.yaml was changed since the checkpoint: {'; '.join(unasked)}. Valid: the "
            "values it had, a change asked for by name (robot-rl train resume=<run> key=value), or "
            "a new run"
        )
    changes = read_changes(run)
    if any(change.step is None for change in changes):
        _write(
            run,
            [msgspec.structs.replace(c, step=step) if c.step is None else c for c in changes],
        )
    return config_changes(then, now)


def _write(run: Path, changes: list[Change]) -> None:
    write_whole(run / FILE, msgspec.json.format(msgspec.json.encode(changes), indent=2) + b"\n")
