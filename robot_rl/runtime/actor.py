"""The actor: a rollout at the policy's rate, and what holds it. No socket, no disk, no torch.

Before each step: newest weights, the learner's credit, room in the ring. Between episodes: pause,
a robot that has to be re-armed, evaluation where there is one robot only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from robot_rl.errors import RobotFault
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.runtime.actor_report import ActorReport
from robot_rl.runtime.evaluation import ActorEvaluation
from robot_rl.runtime.rearm import RearmPost
from robot_rl.runtime.starts import StartStates
from robot_rl.types import Event
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.amendment import Amendment
from robot_rl.wire.protocol import ControlKind

CREDIT_POLL_S = 0.0005
HOLD_POLL_S = 0.02
WAIT_LOOK_S = 0.1
"""Between two looks at weights and link while it waits."""
LAST_WEIGHTS_S = 10.0


@dataclass(slots=True)
class Actor:
    """Everything one actor process holds; `run` is its loop.

    wait: where it waits for the learner's credit: "step", "episode" (hardware) or "never".
    evaluation: frozen episodes between training episodes, None where a process of its own does it.
    """

    rollout: Rollout
    link: ActorLink
    report: ActorReport
    starts: StartStates
    post: RearmPost
    wait: str = "step"
    evaluation: ActorEvaluation | None = None
    total_steps: int = 0
    """Training steps of this life."""
    staleness: int = 0
    finished: Callable[[], bool] = lambda: False
    """Whether the learner has done its last block; asked where the actor evaluates."""
    _stopping: Callable[[], bool] = lambda: False
    _start: tuple[int, int] | None = None

    def run(self, stopping: Callable[[], bool]) -> None:
        """Episodes until `stopping()` or the operator's stop; the running one ends as it is."""
        self._stopping = stopping
        # A simulation waits for room at each step; a robot needs room for its longest episode.
        room = 2 if self.wait == "step" else self.rollout.environment.max_steps + 1
        while not self._ending() and self._paused():
            try:
                if self.evaluation is not None and self.evaluation.due(self._lifetime_steps):
                    self._evaluate(self.evaluation)
                elif self._ready(room, interrupted=self._pausing):
                    self._train()
            except RobotFault as fault:  # latched: the reset was refused
                self._hold(str(fault))
        if self.evaluation is not None and self.finished():
            self._evaluate_last(self.evaluation)
        elif not stopping():
            self.report.event("ends: stopped by an operator", self.total_steps)

    def _train(self) -> None:
        """One training episode. RobotFault, with the start state kept for the next, when the robot
        cannot be reset."""
        if self._start is None:
            self._start = self.starts.next(self.total_steps)
        begin = self.total_steps

        def proceed(episode: Episode) -> bool:
            self.total_steps = begin + episode.steps
            if self._ending() or (self.wait == "step" and not self._ready(2)):
                return False
            self._refresh()
            if self.report.due():
                self.report.acting(self.rollout.planner.version, self.total_steps)
                self._report()
            return True

        state, draws = self._start
        episode = self.rollout.episode(state, policy_seed=draws, proceed=proceed)
        self._start = None
        self.total_steps = begin + episode.steps
        self.starts.note(self.total_steps)
        if episode.discarded:
            actor, epoch = self.rollout.actor, self.rollout.epoch
            reason = "discarded by a person"
            self.link.amend(Amendment("discard", actor, epoch, episode.index, reason=reason))
            self.report.event(f"episode {episode.index} {reason}", self.total_steps)
        elif episode.done:
            self.report.finished(episode, self.total_steps)

    def _evaluate(self, evaluation: ActorEvaluation) -> None:
        """The newest weights, frozen, on seeded episodes that take no credit."""
        self._refresh()

        def proceed(_: Episode) -> bool:
            self._report()
            return not self._stopping() and self._room(2)

        evaluation.run(self.rollout, self._lifetime_steps, proceed)

    def _evaluate_last(self, evaluation: ActorEvaluation) -> None:
        """The run is done: its last weights, once they have come."""
        deadline = time.monotonic() + LAST_WEIGHTS_S
        while self.staleness and time.monotonic() < deadline:
            self._idle()
        if evaluation.due(self._lifetime_steps):
            self._evaluate(evaluation)

    # -- what it waits for -------------------------------------------------------------------

    def _ready(self, records: int, *, interrupted: Callable[[], bool] | None = None) -> bool:
        """Waits for credit, for the weights that a learner has published while this actor still
        acts at random, and for room in the ring; False when asked to end, or `interrupted`."""
        begin = looked = time.perf_counter()
        while (uncredited := self._uncredited()) or self.report.held(records, self.total_steps):
            if self._ending() or (interrupted is not None and interrupted()):
                return False
            time.sleep(CREDIT_POLL_S)
            now = time.perf_counter()
            if now - looked > WAIT_LOOK_S:
                self.rollout.seconds["wait"] += now - looked
                looked = now
                if uncredited:
                    self.report.waiting(now - begin, self.total_steps)
                self._refresh()
                self._report()
        self.rollout.seconds["wait"] += time.perf_counter() - looked
        return interrupted is None or not interrupted()

    def _room(self, records: int) -> bool:
        """Waits for room in the ring alone; False when asked to end."""
        while self.report.held(records, self.total_steps):
            if self._stopping():
                return False
            time.sleep(CREDIT_POLL_S)
            self._report()
        return True

    def _uncredited(self) -> bool:
        """Whether the learner allows no step now.

        It publishes its first weights once the random steps of the warm-up are in its log: from
        then on a step without weights would be one too many.
        """
        if not self.rollout.planner.version and self.link.published_version:
            self._refresh()
            return not self.rollout.planner.version
        return self.wait != "never" and self.link.credits <= self.total_steps

    def _paused(self) -> bool:
        """Waits between episodes while somebody has paused it; False to end."""
        if not self._pausing():
            return True
        self.report.event("holds: paused by an operator (robot-rl watch … --run)", self.total_steps)
        self.link.resting = True
        while self._pausing():
            if self._ending():
                return False
            self._idle()
        self.link.resting = False
        self.report.event("goes on", self.total_steps)
        return True

    def _hold(self, fault: str) -> None:
        """The robot holds until a person at it re-arms; weights, beats and reports go on."""
        self.post.hold(fault)
        self.report.holding(fault, self.total_steps)
        while not self._ending():
            events = self._idle()
            if self.post.asked() or events & Event.REARM:
                try:
                    self.rollout.environment.rearm()
                except RobotFault as refusal:
                    self.report.holding(str(refusal), self.total_steps)
                    continue
                self.report.event("re-armed by a person: goes on", self.total_steps)
                break
        self.post.clear()

    def _idle(self) -> Event:
        """One look at everything while nothing moves; gives the operator's events."""
        self._refresh()
        self._report()
        time.sleep(HOLD_POLL_S)
        return self.rollout.look()

    def _ending(self) -> bool:
        if self._stopping() or self.link.control().kind is ControlKind.STOP:
            return True
        return self.evaluation is not None and self.finished()

    def _pausing(self) -> bool:
        return self.rollout.paused or self.link.control().kind is ControlKind.PAUSE

    def _refresh(self) -> None:
        newest = self.link.newest()
        if newest is not None:
            self.rollout.planner.load(*newest)
        self.staleness = max(0, self.link.published_version - self.rollout.planner.version)

    @property
    def _lifetime_steps(self) -> int:
        return self.starts.steps_before + self.total_steps

    def _report(self) -> None:
        if passed := self.report.due():
            self.report.state(
                passed,
                steps=self.total_steps,
                staleness=self.staleness,
                version=self.rollout.planner.version,
                late=self.rollout.late_periods,
                seconds=self.rollout.seconds,
            )
