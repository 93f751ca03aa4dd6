"""Records demonstrations: a policy (a scripted expert, say) or a person acts into a dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robot_rl.data.episodes import read_episodes
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.errors import DataError, RobotFault
from robot_rl.interfaces import Operator, Policy, RobotEnvironment
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.judge import Judge, TaskJudge
from robot_rl.rollout.loop import Rollout
from robot_rl.rollout.operators import Nobody
from robot_rl.rollout.placement import Inline
from robot_rl.rollout.sinks import DatasetSink
from robot_rl.rollout.stop_watch import StopWatcher
from robot_rl.runtime.by_function import as_expert, parameters_of
from robot_rl.timing import Rate
from robot_rl.types import Array, Event, Observation, Plan, Source

APART = 100_000
"""Between the reset seeds of one life of a recording and the next: none comes twice."""
PAUSE_POLL_S = 0.02


@dataclass(slots=True)
class Recording:
    """Counts of one recording."""

    kept: int = 0
    discarded: int = 0
    transitions: int = 0
    undone: int = 0
    """Kept first and taken back later."""


class ScriptedPolicy:
    """Implements `Policy` by a function: `expert(obs)`, or `expert()`, gives the action (dim,).

    Gaussian `noise` (standard deviation in action units) is added, so that demonstrations show
    corrections.
    """

    version = 0

    def __init__(self, expert: Callable[..., Array], noise: float = 0.0, seed: int = 0) -> None:
        self._expert, self._noise = expert, noise
        self._sees = bool(parameters_of(expert, "expert"))
        self._rng = np.random.default_rng(seed)

    def load(self, weights: Mapping[str, Array], version: int) -> None:
        """A script has none."""

    def reset(self, seed: int | None = None) -> None:
        """The noise goes on through all episodes."""

    def act(
        self, obs: Observation, step: int, stamp_ns: int, *, deterministic: bool = False
    ) -> Plan:
        action = self._expert(obs) if self._sees else self._expert()
        if self._noise > 0.0:
            action = action + self._rng.normal(0.0, self._noise, action.shape)
        actions = np.clip(action, -1, 1).astype(np.float32)[None]
        return Plan(actions, np.ones(1, bool), step, stamp_ns)


def counted(path: Path, actor: str) -> tuple[int, int]:
    """Whole episodes in a dataset, and the epoch in which `actor` goes on with it."""
    episodes = sum(episode.complete for episode in read_episodes(path))
    with LogReader(path) as reader:
        epochs = [c.header.epoch for c in reader.chunks() if c.header.actor == actor]
    return episodes, max(epochs, default=0) + 1


def record_demos(
    environment: RobotEnvironment,
    policy: Policy | Callable[..., Any] | None,
    path: Path | str,
    *,
    episodes: int = 20,
    seed: int = 1000,
    operator: Operator | None = None,
    judge: Judge | None = None,
    keep_failures: bool = False,
    codec: str = "png",
    actor: str = "expert",
    meta: Mapping[str, str] | None = None,
    append: bool = False,
    pace: Rate | None = None,
    on_episode: Callable[[Recording], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Recording:
    """Writes episodes into a new dataset at `path`, or (`append`) on to `episodes` in an old one.

    policy: demonstrates, a `Policy` or a function of one's own (see `by_function.as_expert`); None:
    a person does, and with hands off the robot keeps its setpoint.
    operator: moves, stops and judges; UNDO takes back the episode kept last, PAUSE waits before the
    next one. Failed episodes are left out unless `keep_failures`, and so are those that a person
    discards, or that wait for a person who never moves. After 3 failures beyond what was asked for,
    DataError says that the demonstrator does not solve the task. A stop is a RobotFault; what was
    kept before it stays. An episode counts as kept once it is on disk.
    on_episode: the counts whenever they change. say: why an episode is not kept, and what it waits
    for.
    """
    demonstrator: Any = ScriptedPolicy(environment.hold)
    if policy is not None:
        given: Any = policy
        acts = hasattr(given, "act")
        demonstrator = given if acts else ScriptedPolicy(as_expert(environment, given))
    recording, epoch, path = Recording(), 1, Path(path)
    if append:
        writer = LogWriter.open(path, environment.spec)
        recording.kept, epoch = counted(path, actor)
        seed += APART * (epoch - 1)
    else:
        about = {"seed": str(seed), "recorded_by": actor, **(meta or {})}
        writer = LogWriter.create(path, environment.spec, codec=codec, meta=about)
    sink = DatasetSink(writer, actor, epoch)
    rollout = Rollout(
        environment,
        Inline(demonstrator),
        operator or Nobody(),
        judge or TaskJudge(),
        sink,
        actor=actor,
        epoch=epoch,
        proposal_source=Source.DEMO,
        human_source=Source.DEMO,
        pace=pace,
    )
    recorder = Recorder(rollout, sink, recording, policy is None, keep_failures, on_episode, say)
    try:
        with StopWatcher(rollout.operator, environment):
            recorder.run(episodes, seed)
    finally:
        sink.close()
    return recording


@dataclass(slots=True)
class Recorder:
    """Episodes until enough are kept; a person's second thoughts on the way."""

    rollout: Rollout
    sink: DatasetSink
    recording: Recording
    by_hand: bool
    keep_failures: bool
    on_episode: Callable[[Recording], None]
    say: Callable[[str], None]
    _kept: list[tuple[int, int]] = field(default_factory=list)
    """Number and steps of those kept in this life: what can be taken back."""

    def run(self, episodes: int, seed: int) -> None:
        """Until `episodes` are kept; reset seeds from `seed` on."""
        attempt = 0
        while True:
            self._wait()
            if self.recording.kept >= episodes:
                return
            episode = self.rollout.episode(seed + attempt, proceed=self._proceed)
            attempt += 1
            self._take_back()
            if episode.fault and self.by_hand:
                raise RobotFault(episode.fault)
            if not episode.done:
                self.sink.drop()
                continue
            if why := self._unwanted(episode):
                self._drop(why, episodes)
            else:
                self._keep(episode)

    def _keep(self, episode: Episode) -> None:
        self._kept.append((self.sink.keep(), episode.steps))
        self.recording.transitions += episode.steps
        self.recording.kept += 1
        self.on_episode(self.recording)

    def _drop(self, why: str, episodes: int) -> None:
        self.sink.drop()
        recording = self.recording
        recording.discarded += 1
        if self.by_hand:
            self.say(f"not kept, again: {why}")
        elif recording.discarded > 3 + episodes:
            raise DataError(
                f"{recording.discarded} of {recording.discarded + len(self._kept)} demonstrations "
                f"failed; the {recording.kept} others are kept"
            )

    def _unwanted(self, episode: Episode) -> str:
        """Why an episode is not kept; empty where it is."""
        if episode.discarded:
            return "discarded"
        if self.by_hand and not episode.takeovers:
            return "nobody moved the robot"
        if episode.success == 0 and not self.keep_failures:
            return "it failed (--keep-failures keeps such episodes)"
        return ""

    def _proceed(self, episode: Episode) -> bool:
        """Before each step; a pause ends an episode that nobody has touched yet."""
        self._take_back()
        return not (self.rollout.paused and self.by_hand and not episode.takeovers)

    def _wait(self) -> None:
        """While it is paused; after a stop the next reset is refused."""
        if self.rollout.paused:
            self.say("paused")
            while self.rollout.paused and not self.rollout.look() & Event.STOP:
                time.sleep(PAUSE_POLL_S)
                self._take_back()
            self.say("goes on")

    def _take_back(self) -> None:
        """Obeys each UNDO that has come."""
        while self.rollout.undone:
            self.rollout.undone -= 1
            if not self._kept:
                self.say("nothing left to take back that was recorded now")
                continue
            number, steps = self._kept.pop()
            self.sink.undo(number)
            self.recording.kept -= 1
            self.recording.transitions -= steps
            self.recording.undone += 1
            self.say("took back the episode kept last")
            self.on_episode(self.recording)
