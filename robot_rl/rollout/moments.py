"""Leaves each moment of a rollout where a console sees it: the latest-value slot, or nowhere."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from robot_rl.rollout.episode import NAN, Episode
from robot_rl.rollout.plans import Proposal
from robot_rl.specs import EnvSpec
from robot_rl.types import Action, Step
from robot_rl.wire.latest import LatestWriter

RECENT_EPISODES = 20


class NoMoments:
    """Nobody looks."""

    def begin(self, now: Step, episode: Episode, version: int) -> None:
        """Nothing to show."""

    def step(
        self, after: Step, action: Action, proposal: Proposal | None, episode: Episode, version: int
    ) -> None:
        """Nothing to show."""

    def close(self) -> None:
        """Nothing to free."""


class Moments(NoMoments):
    """Writes into an actor's latest-value slot in `directory`, with the rates of the newest whole
    episodes.

    moments.begin(now, episode, version)                             # after a reset
    moments.step(after, action, proposal, episode, version)          # `episode` counts the step
    """

    def __init__(self, directory: Path, actor: str, spec: EnvSpec) -> None:
        self._place = directory, actor, spec
        self._writer: LatestWriter | None = None
        self._successes: deque[int] = deque(maxlen=RECENT_EPISODES)
        self._steps: deque[tuple[int, int]] = deque(maxlen=RECENT_EPISODES)
        self._rates = NAN, NAN

    def begin(self, now: Step, episode: Episode, version: int) -> None:
        if self._writer is None:  # the first reading says how many arms and joints there are
            arms, joints = (0, 0) if now.state is None else now.state.q.shape
            self._writer = LatestWriter(*self._place, arms=arms, joints=joints)
        self._write(now, None, NAN, episode, version)

    def step(
        self, after: Step, action: Action, proposal: Proposal | None, episode: Episode, version: int
    ) -> None:
        if episode.done:
            self._count(episode)
        plan = None if proposal is None else proposal.plan
        version = version if plan is None else plan.version
        self._write(after, action, NAN if plan is None else plan.value, episode, version)

    def close(self) -> None:
        """Frees the slot; the last moment stays to be read."""
        if self._writer is not None:
            self._writer.close()

    def _write(
        self, step: Step, action: Action | None, value: float, episode: Episode, version: int
    ) -> None:
        assert self._writer is not None
        self._writer.write(
            step,
            episode=episode.index,
            index=episode.steps,
            action=action,
            version=version,
            value=value,
            purpose=episode.purpose,
            success_rate=self._rates[0],
            intervention_rate=self._rates[1],
        )

    def _count(self, episode: Episode) -> None:
        if episode.success >= 0:
            self._successes.append(episode.success)
        self._steps.append((episode.human_steps, episode.steps))
        by_person, all_of_them = (sum(column) for column in zip(*self._steps, strict=True))
        judged = len(self._successes)
        self._rates = (
            sum(self._successes) / judged if judged else NAN,
            by_person / max(1, all_of_them),
        )
