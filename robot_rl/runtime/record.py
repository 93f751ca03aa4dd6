"""Records demonstrations: a policy (a scripted expert, say) or a person acts into a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from robot_rl.types import Array, Observation, Plan, Source

APART = 100_000
"""Between the reset seeds of one life of a recording and the next: none comes twice."""


@dataclass(slots=True)
class Recording:
    """Counts of one recording."""

    kept: int = 0
    discarded: int = 0
    transitions: int = 0


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
) -> Recording:
    """Writes episodes into a new dataset at `path`, or (`append`) on to `episodes` in an old one.

    policy: demonstrates, a `Policy` or a function of one's own (see `by_function.as_expert`); None:
    a person does, and with hands off the robot keeps its setpoint.
    operator: moves, stops and judges. Failed episodes are left out unless `keep_failures`, and so
    are those that a person discards, or that wait for a person who never moves. After 3 failures
    beyond what was asked for, DataError says that the demonstrator does not solve the task. A stop
    is a RobotFault; what was kept before it stays.
    """
    by_hand = policy is None
    person, path = operator or Nobody(), Path(path)
    demonstrator: Any = ScriptedPolicy(environment.hold)
    if policy is not None:
        given: Any = policy
        acts = hasattr(given, "act")
        demonstrator = given if acts else ScriptedPolicy(as_expert(environment, given))
    recording, epoch = Recording(), 1
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
        person,
        judge or TaskJudge(),
        sink,
        actor=actor,
        epoch=epoch,
        proposal_source=Source.DEMO,
        human_source=Source.DEMO,
        pace=pace,
    )
    attempt = 0
    try:
        with StopWatcher(person, environment):
            while recording.kept < episodes:
                episode = rollout.episode(seed + attempt)
                attempt += 1
                if episode.fault and by_hand:
                    raise RobotFault(episode.fault)
                if _wanted(episode, keep_failures, by_hand):
                    recording.transitions += episode.steps
                    recording.kept += 1
                    sink.keep()
                    on_episode(recording)
                    continue
                sink.drop()
                recording.discarded += 1
                if not by_hand and recording.discarded > 3 + episodes:
                    raise DataError(
                        f"{recording.discarded} of {attempt} demonstrations failed; {path} has the "
                        f"{recording.kept} others"
                    )
    finally:
        sink.close()
    return recording


def _wanted(episode: Episode, keep_failures: bool, by_hand: bool) -> bool:
    if episode.discarded or (by_hand and not episode.takeovers):
        return False
    return keep_failures or episode.success != 0
