"""What an actor says of itself: its state now and then, each episode, and why it stands still."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from robot_rl.metrics.records import ActorRecord
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.episode import Episode
from robot_rl.types import EpisodeSummary
from robot_rl.wire.actor_link import ActorLink

REPORT_S = 2.0
PATIENCE_S = 30.0
"""Without a credit, before it is spoken of: a learner may compile its update for twenty seconds."""


@dataclass(slots=True)
class ActorReport:
    """Writes an actor's metrics; whatever it says of its link, it says once.

    while waiting:
        report.waiting(waited_s, steps)
    ...
    if (passed := report.due()):            # every REPORT_S
        report.state(passed, ...)
    """

    metrics: MetricsWriter
    link: ActorLink
    actor: str
    run: str = "<run>"
    """The run's folder, for what a person is told to type."""
    _reported: float = field(default_factory=time.monotonic)
    _reported_steps: int = 0
    _full: str = ""
    _said: str = ""

    def event(self, text: str, step: int, *, warning: bool = False) -> None:
        self.metrics.event(f"{self.actor} {text}", step, warning=warning)

    def held(self, records: int, step: int) -> bool:
        """True, and said once, while what the next `records` would see could not be kept."""
        reason = self.link.hold_reason(records)
        if reason and reason != self._full:
            self.event(f"holds: {reason}", step, warning=True)
        self._full = reason
        return bool(reason)

    def waiting(self, waited_s: float, step: int) -> None:
        """Says why it stands without a credit: no connection, or a learner that allows no more."""
        if trouble := self.link.trouble():
            self._say(f"holds: {trouble}; it goes on when the learner is back", step)
        elif waited_s > PATIENCE_S:
            allowed = self.link.credits
            self._say(f"waits for the learner, which has allowed {allowed:,} steps so far", step)

    def acting(self, version: int, step: int) -> None:
        """Says that it acts without its learner, and when it does not any more."""
        trouble = self.link.trouble()
        on = f"acts on with weights {version}: {trouble}; what it sees is kept on disk"
        self._say(on if trouble else "", step)

    def holding(self, fault: str, step: int) -> None:
        """Says that the robot holds, why, and what is needed."""
        text = f"holds: {fault}. Make the place safe, then at this robot's host: robot-rl rearm"
        self.event(f"{text} {self.run}", step, warning=True)

    def due(self) -> float:
        """Seconds since the last state once REPORT_S have passed, else 0."""
        passed = time.monotonic() - self._reported
        return passed if passed >= REPORT_S else 0.0

    def state(
        self,
        passed_s: float,
        *,
        steps: int,
        staleness: int,
        version: int,
        late: int,
        seconds: Mapping[str, float],
    ) -> None:
        """Leaves an ActorRecord of the last `passed_s` seconds."""
        rate = (steps - self._reported_steps) / passed_s
        self._reported, self._reported_steps = time.monotonic(), steps
        queues = {f"{self.actor} {name}": depth for name, depth in self.link.queues().items()}
        self.metrics.write(
            ActorRecord(
                step=steps,
                actor=self.actor,
                steps_per_s=rate,
                staleness=staleness,
                version=version,
                overruns=late,
                queues=queues,
                seconds=dict(seconds),
            )
        )

    def finished(self, record: Episode, step: int) -> None:
        """Leaves an EpisodeRecord."""
        summary = EpisodeSummary(
            actor=self.actor,
            episode=record.index,
            steps=record.steps,
            episode_return=record.episode_return,
            success=record.success,
            interventions=record.takeovers,
            human_steps=record.human_steps,
        )
        self.metrics.episode(summary, step)

    def _say(self, text: str, step: int) -> None:
        if text != self._said:
            self.event(text or "goes on", step)
        self._said = text
