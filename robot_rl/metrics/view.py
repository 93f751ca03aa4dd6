"""What a person watching a run wants to know, kept up to date from its metrics files."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from robot_rl.metrics.reader import MetricsTail
from robot_rl.metrics.records import (
    ActorRecord,
    EpisodeRecord,
    EvalRecord,
    EventRecord,
    LearnerRecord,
    Record,
    RunRecord,
)

RECENT_EPISODES = 20
SPEED_WINDOW_S = 20.0


@dataclass(slots=True)
class RunView:
    """The state of a run as the console shows it; figures not known yet are None."""

    run_dir: str = ""
    task: str = ""
    robot: str = ""
    agent: str = ""
    seed: int = 0
    steps_total: int = 0
    """Environment steps the run was asked for; 0 when not known."""
    utd_target: float = 0.0
    phase: str = "starting"
    """starting, collecting, learning or done."""
    elapsed_s: float = 0.0
    step: int = 0
    """Environment steps of all actors."""
    episodes: int = 0
    interventions: int = 0
    recent_success: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))
    """1 or 0 for each of the newest judged episodes."""
    recent_return: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))
    recent_length: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT_EPISODES))
    updates: int = 0
    updates_per_s: float | None = None
    utd_true: float | None = None
    staleness: float | None = None
    """Versions that acting lags behind the newest published one."""
    overruns: int = 0
    queues: dict[str, int] = field(default_factory=dict)
    steps_per_s: dict[str, float] = field(default_factory=dict)
    """Environment steps a second of each actor, as it reports them."""
    evals: list[EvalRecord] = field(default_factory=list)
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=3))
    message: str = ""
    """The newest event that is no warning."""
    _finished_steps: int = 0
    _progress: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]))

    @property
    def success(self) -> float | None:
        """Share of successes among the newest judged training episodes."""
        return _mean(self.recent_success)

    @property
    def mean_return(self) -> float | None:
        return _mean(self.recent_return)

    @property
    def mean_length(self) -> float | None:
        """Mean steps of the newest episodes."""
        return _mean(self.recent_length)

    @property
    def env_steps_per_s(self) -> float | None:
        """Of all actors together: as they report it, else from the progress of the last seconds."""
        if self.steps_per_s:
            return sum(self.steps_per_s.values())
        (t0, step0), (t1, step1) = self._progress[0], self._progress[-1]
        return (step1 - step0) / (t1 - t0) if t1 > t0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds left at the pace of the last seconds, learning and waiting included."""
        (t0, step0), (t1, step1) = self._progress[0], self._progress[-1]
        if self.phase == "done" or step1 <= step0 or not self.steps_total:
            return None
        return max(0, self.steps_total - self.step) * (t1 - t0) / (step1 - step0)

    def update(self, record: Record) -> None:
        """Takes one record, in order of time."""
        self.elapsed_s = max(self.elapsed_s, record.t)
        match record:
            case RunRecord():
                self._begin(record)
            case EpisodeRecord():
                self._episode(record)
            case LearnerRecord():
                self._learner(record)
            case ActorRecord():
                self.overruns = max(self.overruns, record.overruns)
                self.queues |= record.queues
                if record.steps_per_s is not None:
                    self.steps_per_s[record.actor] = record.steps_per_s
                if record.staleness is not None:
                    self.staleness = record.staleness
            case EvalRecord():
                self.evals.append(record)
            case EventRecord():
                self._event(record)

    def _begin(self, record: RunRecord) -> None:
        self.task, self.robot, self.agent = record.task, record.robot, record.agent
        self.seed, self.steps_total, self.utd_target = record.seed, record.steps, record.utd
        self.phase = "starting"
        self.steps_per_s.clear()
        self._progress = deque([(record.t, max(self.step, record.step))])

    def _episode(self, record: EpisodeRecord) -> None:
        self.episodes += 1
        self.interventions += record.interventions
        self.recent_length.append(record.steps)
        if record.success >= 0:
            self.recent_success.append(record.success)
        if record.episode_return is not None:
            self.recent_return.append(record.episode_return)
        if self.phase == "starting":
            self.phase = "collecting"
        self._finished_steps += record.steps
        self._advance(record.t, self._finished_steps)

    def _learner(self, record: LearnerRecord) -> None:
        self.updates, self.updates_per_s = record.updates, record.updates_per_s
        self.utd_true = record.utd_true
        self.queues |= record.queues
        if record.staleness is not None:
            self.staleness = record.staleness
        self.phase = "learning" if record.updates else "collecting"
        self._advance(record.t, record.step)

    def _event(self, record: EventRecord) -> None:
        if record.level == "info":
            self.message = record.text
        else:
            self.warnings.append(record.text)
        if record.done:
            self.phase = "done"

    def _advance(self, t: float, step: int) -> None:
        self.step = max(self.step, step)
        self._progress.append((t, self.step))
        while len(self._progress) > 2 and t - self._progress[0][0] > SPEED_WINDOW_S:
            self._progress.popleft()


class RunWatcher:
    """Follows the metrics files of a run into a `RunView`.

    watcher = RunWatcher(run_dir)
    while running:
        watcher.poll()
        show(watcher.view)
    """

    def __init__(self, run_dir: Path) -> None:
        self._tail = MetricsTail(run_dir)
        self._finished = Path(run_dir) / "finished"
        self.view = RunView(run_dir=str(run_dir))

    def poll(self) -> int:
        """Reads what is new; gives the number of records."""
        records = self._tail.poll()
        for record in records:
            self.view.update(record)
        if self._finished.exists():
            self.view.phase = "done"
        return len(records)


def _mean(values: deque[int] | deque[float]) -> float | None:
    return sum(values) / len(values) if values else None
