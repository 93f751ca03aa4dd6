"""Who says how an episode went: the environment, a person, a learned reward model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from robot_rl.interfaces import RewardModel
from robot_rl.types import Event, Step


class Judge(Protocol):
    """step = judge.judge(environment.step(action), events)

    At the end of an episode the robot rests and the loop asks `conclude` until there is an answer,
    or for so long that the step stands as it is: a judge may decide late.
    """

    def reset(self) -> None:
        """A new episode."""
        ...

    def judge(self, step: Step, events: Event) -> Step:
        """The step with its verdict; the very same where there is nothing to add."""
        ...

    def conclude(self, step: Step, events: Event) -> Step | None:
        """The last step with its final verdict; None: not decided yet."""
        ...


class TaskJudge:
    """The environment's own verdict, and a person's above it."""

    def reset(self) -> None:
        """Remembers nothing."""

    def judge(self, step: Step, events: Event) -> Step:
        return step if events is Event.NONE else by_person(step, events)

    def conclude(self, step: Step, events: Event) -> Step | None:
        return self.judge(step, events)


@dataclass(slots=True)
class AskingJudge:
    """As TaskJudge, but an episode that ended without success waits for a person's verdict."""

    def reset(self) -> None:
        """Remembers nothing."""

    def judge(self, step: Step, events: Event) -> Step:
        return by_person(step, events)

    def conclude(self, step: Step, events: Event) -> Step | None:
        decided = step.terminated or step.fault or events & (Event.SUCCESS | Event.FAILURE)
        return by_person(step, events) if decided else None


@dataclass(slots=True)
class LearnedJudge:
    """A reward model in place of the task's own verdict; a person's stands above both.

    Success once `model(obs)` was at least `threshold` for `frames` steps in a row: reward 1, which
    terminates. (A single frame is easily fooled, and a policy finds such frames.)
    """

    model: RewardModel
    threshold: float = 0.5
    frames: int = 1
    _row: int = 0

    def reset(self) -> None:
        self._row = 0

    def judge(self, step: Step, events: Event) -> Step:
        self._row = self._row + 1 if self.model(step.obs) >= self.threshold else 0
        success = self._row >= self.frames
        judged = replace(
            step,
            reward=float(success),
            success=int(success),
            terminated=success,
            truncated=(step.truncated or step.terminated) and not success,
        )
        return by_person(judged, events)

    def conclude(self, step: Step, events: Event) -> Step | None:
        return by_person(step, events)


def by_person(step: Step, events: Event) -> Step:
    """The step after a person's SUCCESS (reward 1) or FAILURE (reward 0): both terminate."""
    if not events & (Event.SUCCESS | Event.FAILURE):
        return step
    success = int(Event.FAILURE not in events)
    return replace(step, reward=float(success), success=success, terminated=True, truncated=False)
