"""The actor: the control loop at the policy's rate and nothing else. No socket, no disk, no torch.

Per period: newest weights, act, arbitrate, step, leave the transition in the ring.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from robot_rl.errors import RobotFault
from robot_rl.interfaces import Policy, TeleopDevice
from robot_rl.intervention import InterventionState, arbitrate
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.actor_report import ActorReport, Episode
from robot_rl.types import Action, Array, LimitStage, Observation, Source, Transition
from robot_rl.wire.actor_link import ActorLink
from robot_rl.wire.protocol import ControlKind

CREDIT_POLL_S = 0.0005
PAUSE_POLL_S = 0.02
WAIT_LOOK_S = 0.1
"""Between two looks at weights and link while it waits."""
RESET_SEEDS = 2**31
STAGES = ("reset", "policy", "environment", "record", "wait")


@dataclass(slots=True)
class Actor:
    """Everything one actor process holds; `run` is its loop.

    env: a gymnasium environment with `data_spec` and the info keys of RobotEnv.
    wait: where it waits for the learner's credit: "step", "episode" (hardware) or "never".
    slack_ns: a period that ends later than this, in the robot's clock, counts as late.
    episode_records: room that the longest episode needs, asked for where it cannot wait in between.
    """

    env: Any
    policy: Policy
    teleop: TeleopDevice
    link: ActorLink
    metrics: MetricsWriter
    actor: str
    epoch: int
    seed: int
    wait: str = "step"
    episode_records: int = 2
    slack_ns: int = 5_000_000
    intervention: InterventionState = field(default_factory=InterventionState)
    total_steps: int = 0
    episodes: int = 0
    late_periods: int = 0
    staleness: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """Of this life, by stage."""
    _rng: np.random.Generator = field(init=False)
    report: ActorReport = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.seed, self.epoch % RESET_SEEDS])
        self.report = ActorReport(self.metrics, self.link, self.actor)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Episodes until `stopping()` or the operator's stop; the running one ends as it is."""

        def ending() -> bool:
            return stopping() or self.link.control().kind is ControlKind.STOP

        def ending_or_pausing() -> bool:
            return ending() or self._pausing

        room = 2 if self.wait == "step" else self.episode_records
        while not ending() and self._paused(ending):
            if self._credit(ending_or_pausing, room) and not self._pausing:
                self.episode(ending)
        if not stopping():
            self.report.event("ends: stopped by an operator", self.total_steps)

    def episode(self, stopping: Callable[[], bool]) -> None:
        """One episode: reset, then steps until it ends or `stopping()`."""
        begin = time.perf_counter()
        obs, info = self.env.reset(seed=int(self._rng.integers(RESET_SEEDS)))
        self.seconds["reset"] += time.perf_counter() - begin
        record = Episode(self.episodes)
        self.episodes += 1
        self.policy.reset()
        stamp, boot = int(info["stamp_ns"]), int(info["boot_id"])
        self.link.start(obs, record.index, stamp, boot)
        done = False
        while not done and not stopping():
            if self.wait == "step" and not self._credit(stopping):
                return
            obs, stamp, done = self.step(obs, stamp, record)
            if self.report.due():
                self.report.acting(self.policy.version, self.total_steps)
                self._report()
        self._robot("rest")
        if done:
            self.report.finished(record, self.total_steps)

    def step(
        self, obs: Observation, stamp_ns: int, record: Episode
    ) -> tuple[Observation, int, bool]:
        """One period; gives the next observation, its stamp and whether the episode ended."""
        begin = time.perf_counter()
        self._refresh()
        chunk = self.policy.act(obs, record.steps, stamp_ns)
        source = Source.POLICY if self.policy.version else Source.RANDOM
        sample = self.teleop.read()
        if sample is not None and sample.stop:
            self._emergency_stop()
        before = self.intervention.takeovers
        action, self.intervention = arbitrate(
            chunk.actions[0], sample, self.intervention, proposal_source=source
        )
        record.takeovers += self.intervention.takeovers - before
        chosen = time.perf_counter()
        next_obs, reward, terminated, truncated, info = self.env.step(action.vector)
        stepped = time.perf_counter()
        if sample is not None and sample.success is not None:
            info = {**info, "success": int(sample.success)}
            reward = float(sample.success)
            terminated = terminated or sample.success
        record.steps += 1
        self.late_periods += int(info.get("late_ns", 0)) > self.slack_ns
        transition = self._transition(
            obs, action, next_obs, float(reward), terminated, truncated, info, record
        )
        self.link.step(transition)
        self.seconds["policy"] += chosen - begin
        self.seconds["environment"] += stepped - chosen
        self.seconds["record"] += time.perf_counter() - stepped
        self.total_steps += 1
        record.episode_return += float(reward)
        record.success = int(info["success"])
        record.human_steps += action.source is Source.HUMAN
        return next_obs, transition.stamp_ns, terminated or truncated

    def _emergency_stop(self) -> NoReturn:
        """Latches the robot's fault, then ends the actor: a person starts it again."""
        reason = "emergency stop pressed at the teleoperation device"
        self._robot("trip", reason)
        raise RobotFault(reason)

    def _robot(self, what: str, *words: str) -> None:
        """Asks an environment with a robot for `rest` or `trip`; others have neither."""
        ask = getattr(getattr(self.env, "unwrapped", self.env), what, None)
        if ask is not None:
            ask(*words)

    def _transition(
        self,
        obs: Observation,
        action: Action,
        next_obs: Observation,
        reward: float,
        terminated: bool,
        truncated: bool,
        info: dict[str, Any],
        record: Episode,
    ) -> Transition:
        human: Array = np.full_like(action.vector, np.nan) if action.human is None else action.human
        return Transition(
            obs=obs,
            action=info["executed"],
            proposed=action.proposed,
            human=human,
            commanded=info["commanded"],
            limiting_stage=LimitStage(info["limiting_stage"]),
            reward=reward,
            next_obs=next_obs,
            terminated=bool(terminated),
            truncated=bool(truncated),
            success=int(info["success"]),
            source=action.source,
            intervention_id=action.intervention_id,
            policy_version=self.policy.version,
            actor=self.actor,
            epoch=self.epoch,
            sequence=self.link.next_sequence,
            episode=record.index,
            step=record.steps,
            stamp_ns=int(info["stamp_ns"]),
            action_stamp_ns=int(info["action_stamp_ns"]),
            boot_id=int(info["boot_id"]),
        )

    def _refresh(self) -> None:
        newest = self.link.newest()
        if newest is not None:
            self.policy.load(*newest)
        self.staleness = max(0, self.link.published_version - self.policy.version)

    def _credit(self, stopping: Callable[[], bool], records: int = 2) -> bool:
        """Waits for the learner's credit and room in the ring; False when asked to stop."""
        begin = looked = time.perf_counter()
        while (uncredited := self._uncredited) or self.report.held(records, self.total_steps):
            if stopping():
                return False
            time.sleep(CREDIT_POLL_S)
            now = time.perf_counter()
            if now - looked > WAIT_LOOK_S:
                self.seconds["wait"] += now - looked
                looked = now
                if uncredited:
                    self.report.waiting(now - begin, self.total_steps)
                self._refresh()
                self._report()
        self.seconds["wait"] += time.perf_counter() - looked
        return True

    @property
    def _uncredited(self) -> bool:
        return self.wait != "never" and self.link.credits <= self.total_steps

    @property
    def _pausing(self) -> bool:
        return self.link.control().kind is ControlKind.PAUSE

    def _paused(self, stopping: Callable[[], bool]) -> bool:
        """Waits between episodes while the operator's command is to pause; False to end."""
        if not self._pausing:
            return True
        self.report.event("holds: paused by an operator (robot-rl watch … --run)", self.total_steps)
        self.link.resting = True
        while self._pausing:
            if stopping():
                return False
            self._refresh()
            self._report()
            time.sleep(PAUSE_POLL_S)
        self.link.resting = False
        self.report.event("goes on", self.total_steps)
        return True

    def _report(self) -> None:
        if passed := self.report.due():
            self.report.state(
                passed,
                steps=self.total_steps,
                staleness=self.staleness,
                version=self.policy.version,
                late=self.late_periods,
                seconds=self.seconds,
            )
