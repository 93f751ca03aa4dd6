"""What the processes of a session are given: one JSON document each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeAlias

import msgspec


class ChildConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role"):
    """What every child of a session has; `role` in the JSON says which one it is."""

    run: str
    """The run's folder; everything else is read there."""
    origin_s: float
    """Wall origin of the metrics, s."""

    @property
    def path(self) -> Path:
        return Path(self.run)


class ActorConfig(ChildConfig, frozen=True, tag="actor", kw_only=True):
    runtime_dir: str
    """Private and short; shared with this actor's I/O process."""
    actor: str


class LearnerConfig(ChildConfig, frozen=True, tag="learner", kw_only=True):
    address: str
    """Of ingest, for the learner."""
    episodes_from_log: bool = False
    """No actor of this run's folder leaves its episodes in the metrics: read in the log."""


class EvaluatorConfig(ChildConfig, frozen=True, tag="evaluator"):
    pass


class PolicyConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="policy"
):
    """A policy beside its actor."""

    run: str
    socket: int
    """Number of the descriptor that the actor handed over."""


AnyChild: TypeAlias = ActorConfig | PolicyConfig | LearnerConfig | EvaluatorConfig


def child_command(config: AnyChild) -> list[str]:
    """The command line that runs this config in a process of its own."""
    document = msgspec.json.encode(config).decode()
    return [sys.executable, "-m", "robot_rl.commands.child", document]
