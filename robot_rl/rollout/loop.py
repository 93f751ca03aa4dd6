"""The one act → step loop: actor, recorder and evaluator are its users.

plan → PlanFollower → arbitrate(Operator) → RobotEnvironment.step → Judge → sink
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from robot_rl.errors import WireError
from robot_rl.interfaces import Operator, RobotEnvironment, TransitionSink
from robot_rl.rollout.arbitration import MAX_AGE_NS, InterventionState, arbitrate
from robot_rl.rollout.episode import NAN, Episode, transition_of
from robot_rl.rollout.judge import Judge, TaskJudge
from robot_rl.rollout.operators import Nobody
from robot_rl.rollout.placement import Planner
from robot_rl.rollout.plans import PlanFollower, Proposal
from robot_rl.rollout.rewind import Path
from robot_rl.rollout.sinks import NullSink
from robot_rl.rollout.stop_watch import STOPPED
from robot_rl.timing import NS, Rate
from robot_rl.types import (
    Action,
    Array,
    CartesianCommand,
    Context,
    Event,
    JointCommand,
    OperatorSample,
    Purpose,
    Source,
    Step,
)

LOST = "the operator's device was lost in an intervention"
NO_STAMPS: Mapping[str, int] = MappingProxyType({})
NONE = Event.NONE
"""Compared by identity: most steps have no event, and a flag's operators cost microseconds."""
STAGES = ("reset", "policy", "environment", "record", "wait")
FIRST_PLAN_S = 60.0
"""A policy in a process of its own may load for so long; the robot rests meanwhile."""
POLL_S = 0.001
VERDICT_POLL_S = 0.02


@dataclass(slots=True)
class Rollout:
    """One environment and all that acts on, judges and keeps what happens in it.

    rollout = Rollout(environment, Inline(policy), sink=link)
    episode = rollout.episode(seed, proceed=lambda episode: not stopping())

    The newest plan's action for the step, or a person's, goes to the environment; what came of it
    is judged and left in the sink. Whoever acts, the action starts from the present setpoint.
    """

    environment: RobotEnvironment
    planner: Planner
    operator: Operator = field(default_factory=Nobody)
    judge: Judge = field(default_factory=TaskJudge)
    sink: TransitionSink = field(default_factory=NullSink)
    actor: str = ""
    epoch: int = 1
    follower: PlanFollower = field(default_factory=PlanFollower)
    proposal_source: Source | None = None
    """Who the policy is; None: POLICY, or RANDOM before any weights."""
    human_source: Source = Source.HUMAN
    max_age_ns: int = MAX_AGE_NS
    """An operator's sample older than this is stale, see `arbitrate`."""
    slack_ns: int = 5_000_000
    """A period that ends later than this, in the robot's clock, counts as late."""
    verdict_s: float = 10.0
    """So long a judge may take after the end of an episode."""
    wait_for_plans: bool = False
    """Waits at each step for a plan that is due: for a simulation, whose time stands still."""
    pace: Rate | None = None
    """Keeps an environment without a clock at a person's pace."""
    now_ns: Callable[[], int] = time.monotonic_ns
    """The clock of the operator's stamps."""
    intervention: InterventionState = field(default_factory=InterventionState)
    episodes: int = 0
    late_periods: int = 0
    paused: bool = False
    """Flipped by an operator's PAUSE; the user of the loop obeys it between episodes."""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """By stage."""
    undone: int = 0
    """Counts an operator's UNDO; who keeps episodes obeys it and counts it down."""
    _lost: bool = False
    """The operator's device was silent in an intervention, and still is."""
    _path: Path = field(default_factory=Path)
    _now: Step | None = None
    _sequence: int = 0
    _images: tuple[str, ...] = field(init=False)
    _no_human: Array = field(init=False)

    def __post_init__(self) -> None:
        spec = self.environment.spec
        self._images = spec.image_keys
        self._no_human = np.full(spec.action_dim, np.nan, np.float32)
        self._no_human.flags.writeable = False

    def episode(
        self,
        seed: int,
        *,
        policy_seed: int | None = None,
        purpose: Purpose = Purpose.TRAINING,
        deterministic: bool = False,
        proceed: Callable[[Episode], bool] = lambda _: True,
    ) -> Episode:
        """One episode: reset, then steps until it ends or `proceed`, asked before each, says no.

        Then the robot rests. RobotFault when it cannot be reset, and after an episode that ended in
        an intervention whose device was lost: the policy does not go on by itself.
        """
        if self._lost:
            self._lost = False
            self.environment.trip(LOST)
        episode = Episode(self.episodes, purpose)
        self.planner.reset(policy_seed)
        self.follower.clear()
        self.judge.reset()
        self._path.clear()
        self.intervention = replace(self.intervention, on=False)
        begin = time.perf_counter()
        now = self._now = self.environment.reset(seed)
        self.seconds["reset"] += time.perf_counter() - begin
        self.episodes += 1
        self.sink.start(
            now.obs,
            episode.index,
            now.stamp_ns,
            now.boot_id,
            stamps=self._camera_stamps(now),
            purpose=purpose,
        )
        self._sequence += 1
        while not episode.done and proceed(episode):
            now = self._tick(now, episode, deterministic)
        self.environment.rest()
        return episode

    def look(self) -> Event:
        """What the operator's buttons say while nothing acts; a stop trips the environment."""
        hold = self._no_human if self._now is None else self.environment.hold()
        return self._events(self.operator.read(Context(self._now, None, hold)))

    def _tick(self, now: Step, episode: Episode, deterministic: bool) -> Step:
        """One period; gives the moment at its end."""
        begin = time.perf_counter()
        proposal = self._propose(now, episode.steps, deterministic)
        hold = self.environment.hold()
        proposed = None if proposal is None else proposal.action
        value = NAN if proposal is None else proposal.plan.value
        sample = self.operator.read(Context(now, proposed, hold, value))
        events = self._events(sample)
        action = self._choose(proposed, sample, events, hold, episode)
        if self.pace is not None:
            self.pace.wait()
        chosen = time.perf_counter()
        after = self.environment.step(action.vector)
        stepped = time.perf_counter()
        after = self._now = self.judge.judge(after, events)
        if events is not NONE and events & Event.DISCARD:
            episode.discarded = True
            after = replace(after, truncated=not after.terminated)
        episode.steps += 1
        if after.terminated or after.truncated:
            after = self._conclude(after, events, episode)
        self._sequence += 1
        self.sink.step(
            transition_of(
                now,
                action,
                proposal,
                after,
                episode,
                human=self._no_human if action.human is None else action.human,
                stamps=self._camera_stamps(after),
                version=self.planner.version,
                actor=self.actor,
                epoch=self.epoch,
                sequence=self._sequence,
            )
        )
        self._sequence += 1
        episode.episode_return += after.reward
        episode.success, episode.fault = after.success, after.fault
        episode.human_steps += action.source is Source.HUMAN
        self.late_periods += after.late_ns > self.slack_ns
        seconds = self.seconds
        seconds["policy"] += chosen - begin
        seconds["environment"] += stepped - chosen
        seconds["record"] += time.perf_counter() - stepped
        return after

    def _propose(self, now: Step, index: int, deterministic: bool) -> Proposal | None:
        """The policy's proposal for step `index`; the first step's is waited for."""
        follower, planner = self.follower, self.planner
        deadline = 0.0
        while True:
            if follower.wants(index):
                plan = planner.plan(now.obs, index, now.stamp_ns, deterministic=deterministic)
                if plan is not None:
                    follower.take(plan, index)
            proposal = follower.propose(index)
            late = self.wait_for_plans and follower.wants(index)
            if not late and (proposal is not None or index > 0):
                return proposal
            deadline = deadline or time.monotonic() + FIRST_PLAN_S
            if time.monotonic() > deadline:
                raise WireError(f"the policy gave no plan within {FIRST_PLAN_S:.0f} s")
            time.sleep(POLL_S)

    def _events(self, sample: OperatorSample | None) -> Event:
        if sample is None or sample.events is NONE:
            return NONE
        if sample.events & Event.STOP:
            self.environment.trip(STOPPED)
        if sample.events & Event.PAUSE:
            self.paused = not self.paused
        if sample.events & Event.UNDO:
            self.undone += 1
        return sample.events

    def _choose(
        self,
        proposed: Array | None,
        sample: OperatorSample | None,
        events: Event,
        hold: Array,
        episode: Episode,
    ) -> Action:
        """Who acts, and how; the plan is dropped whenever that changes."""
        source = self.proposal_source
        if proposed is None:
            proposed, source = hold, Source.SCRIPT
        elif source is None:
            source = Source.POLICY if self.planner.version else Source.RANDOM
        motion: Array | None = None
        human_source, stale = self.human_source, False
        if sample is not None:
            if isinstance(sample.motion, CartesianCommand | JointCommand):
                motion = self.environment.encode(sample.motion)
            else:
                motion = sample.motion
            stale = self.now_ns() - sample.stamp_ns > self.max_age_ns
        self._lost = stale and self.intervention.on
        if events is not NONE and events & Event.REWIND:
            motion, human_source = self._back(hold), Source.REWIND
        else:
            self._path.note(self.environment.setpoint())
        before = self.intervention
        action, self.intervention = arbitrate(
            proposed,
            motion,
            before,
            hold,
            stale=stale,
            proposal_source=source,
            human_source=human_source,
        )
        if self.intervention.on is not before.on:
            self.follower.clear(episode.steps + 1)
            episode.takeovers += self.intervention.on
        return action

    def _back(self, hold: Array) -> Array:
        """The action back to where the robot was sent a step earlier."""
        present = self.environment.setpoint()
        goal = None if present is None else self._path.back(present.gripper)
        return hold if goal is None else self.environment.encode(goal)

    def _conclude(self, after: Step, events: Event, episode: Episode) -> Step:
        """The last step with its verdict; the robot rests while a judge takes its time."""
        episode.done = True
        deadline = self.now_ns() + round(self.verdict_s * NS)
        while (final := self.judge.conclude(after, events)) is None:
            self.environment.rest()
            if self.now_ns() >= deadline:
                return after
            time.sleep(VERDICT_POLL_S)
            events = self.look()
            episode.discarded |= bool(events & Event.DISCARD)
        return final

    def _camera_stamps(self, step: Step) -> Mapping[str, int]:
        return {name: step.stamps[name] for name in self._images} if self._images else NO_STAMPS
