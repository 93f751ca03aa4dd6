"""A run as its report needs it: names, machine, metrics and videos, read from its folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from omegaconf import OmegaConf

from robot_rl.errors import UNREADABLE, ConfigError, DataError
from robot_rl.metrics.reader import RunMetrics, read_metrics
from robot_rl.metrics.records import ActorRecord, EpisodeRecord, EvalRecord, LearnerRecord
from robot_rl.metrics.view import RunView
from robot_rl.stored_config import read_config
from robot_rl.types import Array


@dataclass(frozen=True, slots=True)
class RunData:
    """One run."""

    path: Path
    task: str
    robot: str
    agent: str
    seed: int
    steps: int
    """Environment steps the run was asked for; 0 when not known."""
    utd: float
    """Update-to-data ratio it was asked for; 0 when not known."""
    sampled: bool
    """Whether evaluations draw their actions, in place of the policy's mode."""
    config_text: str
    """config.yaml as it stands."""
    machine: dict[str, str]
    view: RunView
    """What the console shows, which counts steps and time."""
    metrics: RunMetrics
    """Without what a resumed session did again."""
    videos: tuple[Path, ...]
    """Newest first."""

    @property
    def judged(self) -> bool:
        """False for an environment that never says whether an episode succeeded."""
        metrics = self.metrics
        verdicts = any(episode.success >= 0 for episode in metrics.episodes)
        return verdicts or any(item.successes for item in metrics.evals)

    @property
    def elapsed_s(self) -> float:
        """Seconds of all sessions together."""
        return self.view.elapsed_s

    @property
    def step(self) -> int:
        """Environment steps done."""
        return self.view.step

    @property
    def finished(self) -> bool:
        return self.view.phase == "done" or (self.path / "finished").exists()


def read_run(run_dir: Path) -> RunData:
    """Reads a run's folder; DataError when it is no run or its files cannot be read."""
    run_dir = Path(run_dir)
    try:
        cfg, text = read_config(run_dir / "config.yaml")
    except ConfigError as error:
        raise DataError(str(error)) from error
    config = cast("dict[str, Any]", OmegaConf.to_container(cfg, resolve=False))
    names = _names(config)
    metrics, view = read_metrics(run_dir), RunView()
    for record in sorted(metrics.all(), key=lambda record: record.t):
        view.update(record)
    metrics.learner = learner_kept(metrics.learner)
    metrics.evals = evals_kept(metrics.evals)
    start = metrics.runs[-1] if metrics.runs else None
    return RunData(
        path=run_dir,
        task=start.task if start else names["task"],
        robot=start.robot if start else names["robot"],
        agent=start.agent if start else names["agent"],
        seed=start.seed if start else _number(config.get("seed")),
        steps=start.steps if start else _number(config.get("steps")),
        utd=start.utd if start else _utd(config),
        sampled=_inner(config, "evaluation").get("sampled") is True,
        config_text=text,
        machine=_machine(run_dir / "run.json"),
        view=view,
        metrics=metrics,
        videos=_videos(run_dir),
    )


def learner_kept(records: Sequence[LearnerRecord]) -> list[LearnerRecord]:
    """Without the updates that a session resumed from an earlier checkpoint did again."""
    kept: list[LearnerRecord] = []
    for record in records:
        while kept and kept[-1].updates > record.updates:
            kept.pop()
        kept.append(record)
    return kept


def evals_kept(records: Sequence[EvalRecord]) -> list[EvalRecord]:
    """The newest evaluation after each number of steps, in order of steps."""
    newest = {record.step: record for record in records}
    return [newest[step] for step in sorted(newest)]


def episode_steps(episodes: Sequence[EpisodeRecord]) -> Array:
    """(n,) environment steps of all actors at the end of each episode."""
    return np.cumsum([episode.steps for episode in episodes], dtype=np.float64)


def speeds(
    times: Sequence[float], counts: Sequence[float], points: int = 80
) -> tuple[Array, Array]:
    """Times (s) and rates (1/s) of a growing count, over `points` windows of equal time or fewer.

    A window over which the count goes back (a resumed session) is left out.
    """
    t, n = np.asarray(times, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if len(t) < 2 or t[-1] <= t[0]:
        return np.empty(0), np.empty(0)
    at = np.searchsorted(t, np.linspace(t[0], t[-1], points + 1))
    chosen = np.unique(np.minimum(at, len(t) - 1))
    passed, gained = np.diff(t[chosen]), np.diff(n[chosen])
    good = (passed >= (t[-1] - t[0]) / (2 * points)) & (gained >= 0)
    return t[chosen][1:][good], gained[good] / passed[good]


def stage_seconds(records: Sequence[LearnerRecord] | Sequence[ActorRecord]) -> dict[str, float]:
    """Seconds in each stage over all sessions; the records count from each session's start."""
    total: dict[str, float] = {}
    last: Mapping[str, float | None] = {}
    for record in records:
        for name, value in record.seconds.items():
            before = last.get(name) or 0.0
            now = value or 0.0
            total[name] = total.get(name, 0.0) + (now - before if now >= before else now)
        last = record.seconds
    return total


def _names(config: Mapping[str, Any]) -> dict[str, str]:
    choices = _inner(config, "choices")
    names = {key: str(choices.get(key) or "") for key in ("task", "robot", "agent")}
    if choices.get("env") == "gym":
        names |= {"task": str(_inner(config, "env").get("id", "")), "robot": ""}
    return names


def _inner(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


def _utd(config: Mapping[str, Any]) -> float:
    return float(_number(_inner(_inner(config, "agent"), "replay").get("utd")))


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _machine(path: Path) -> dict[str, str]:
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except (OSError, *UNREADABLE):
        return {}
    if not isinstance(raw, dict):
        return {}
    flat: dict[str, str] = {}
    for key, value in raw.items():
        inner = value if isinstance(value, dict) else {key: value}
        flat |= {str(name): str(item) for name, item in inner.items()}
    return flat


def _videos(run_dir: Path) -> tuple[Path, ...]:
    found = [*run_dir.glob("*.mp4"), *run_dir.glob("video*/*.mp4")]
    return tuple(sorted(found, key=lambda path: path.stat().st_mtime, reverse=True))
