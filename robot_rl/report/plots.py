"""The charts of one run, each from its metrics; a chart without data is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot_rl.metrics.records import LearnerRecord
from robot_rl.report.charts import Axis, Chart, Series
from robot_rl.report.rundata import RunData, episode_steps, speeds
from robot_rl.report.statistics import moving_average, wilson_interval

STEPS = Axis("environment steps", low=0)
MINUTES = Axis("minutes", low=0)
WINDOW = 20
"""Episodes of a moving average."""
KNOWN = {
    "critic_loss": "Critic loss",
    "actor_loss": "Actor loss",
    "q_mean": "Mean Q of the batch",
    "target_q": "Target Q",
    "td_error": "Temporal-difference error",
    "entropy": "Policy entropy, nats",
    "log_prob": "log π(a|s)",
    "temperature": "Temperature α",
    "critic_grad_norm": "Critic gradient norm",
    "actor_grad_norm": "Actor gradient norm",
    "action_saturation": "Share of saturated actions",
}


def learning_curve(run: RunData) -> Chart | None:
    """Success in evaluation with its interval, and in training; of returns where none is judged."""
    return _success_curve(run) if run.judged else _return_curve(run)


def _success_curve(run: RunData) -> Chart | None:
    series = []
    evals = [item for item in run.metrics.evals if item.episodes]
    if evals:
        bounds = [wilson_interval(item.successes, item.episodes) for item in evals]
        series.append(
            Series(
                "evaluation",
                [item.step for item in evals],
                [item.successes / item.episodes for item in evals],
                low=[low for low, _ in bounds],
                high=[high for _, high in bounds],
                dots=True,
            )
        )
    steps = episode_steps(run.metrics.episodes)
    judged = [i for i, episode in enumerate(run.metrics.episodes) if episode.success >= 0]
    if judged:
        smooth = moving_average([run.metrics.episodes[i].success for i in judged], WINDOW)
        series.append(Series(f"training, last {WINDOW} episodes", steps[judged], smooth, colour=1))
    y = Axis("success (band: 95 % interval)", low=0.0, high=1.0, percent=True)
    return Chart("Success", STEPS, y, series, goal=0.9) if series else None


def _return_curve(run: RunData) -> Chart | None:
    evals = [item for item in run.metrics.evals if item.mean_return is not None]
    series = []
    if evals:
        means = [item.mean_return or 0.0 for item in evals]
        series.append(Series("evaluation", [item.step for item in evals], means, dots=True))
    if training := _episodes(run, lambda i: run.metrics.episodes[i].episode_return):
        series.append(training)
    return Chart("Return", STEPS, Axis("return of an episode"), series) if series else None


def small_charts(run: RunData) -> list[Chart]:
    """Everything beside the learning curve."""
    episodes = run.metrics.episodes
    found = [
        _single("Return in training", "sum of rewards", run, lambda i: episodes[i].episode_return),
        _single("Episode length", "environment steps", run, lambda i: float(episodes[i].steps)),
        _evaluation_length(run),
        _interventions(run),
        _ratio(run),
        _staleness(run),
        *_throughput(run),
        _queues(run),
        *_losses(run),
    ]
    return [chart for chart in found if chart is not None]


def _episodes(run: RunData, value: Callable[[int], float | None]) -> Series | None:
    """Moving average over training episodes, None values left out."""
    steps = episode_steps(run.metrics.episodes)
    kept = [i for i in range(len(steps)) if value(i) is not None]
    if not kept:
        return None
    smooth = moving_average([value(i) or 0.0 for i in kept], WINDOW)
    return Series(f"training, last {WINDOW} episodes", steps[kept], smooth, colour=1)


def _single(
    title: str, label: str, run: RunData, value: Callable[[int], float | None]
) -> Chart | None:
    series = _episodes(run, value)
    label = f"{label}, mean of {WINDOW} episodes"
    return Chart(title, STEPS, Axis(label), [series]) if series else None


def _evaluation_length(run: RunData) -> Chart | None:
    evals = [item for item in run.metrics.evals if item.mean_length is not None]
    if not evals:
        return None
    lengths = [item.mean_length or 0.0 for item in evals]
    series = Series("evaluation", [item.step for item in evals], lengths, dots=True)
    return Chart("Length of evaluation episodes", STEPS, Axis("steps, mean", low=0), [series])


def _interventions(run: RunData) -> Chart | None:
    episodes = run.metrics.episodes
    if not any(episode.human_steps for episode in episodes):
        return None
    human = moving_average([episode.human_steps for episode in episodes], WINDOW)
    length = moving_average([max(1, episode.steps) for episode in episodes], WINDOW)
    series = Series("human", episode_steps(episodes), human / length, colour=4)
    y = Axis(f"steps driven by a human, mean of {WINDOW} episodes", low=0, percent=True)
    return Chart("Interventions", STEPS, y, [series])


def _ratio(run: RunData) -> Chart | None:
    goal = run.utd or None
    y = Axis("updates per environment step", low=0)
    series = _learner(run, "true ratio", lambda record: record.utd_true, colour=2)
    return Chart("True update-to-data ratio", STEPS, y, [series], goal=goal) if series else None


def _staleness(run: RunData) -> Chart | None:
    label = Axis("versions behind the newest", low=0)
    series = _learner(run, "staleness", lambda record: record.staleness, colour=3)
    if series:
        return Chart("Staleness of the acting policy", STEPS, label, [series])
    per_actor = []
    for colour, actor in enumerate(sorted({record.actor for record in run.metrics.actors})):
        found = [r for r in run.metrics.actors if r.actor == actor and r.staleness is not None]
        times, values = [r.t / 60 for r in found], [r.staleness or 0.0 for r in found]
        if found:
            per_actor.append(Series(actor, times, values, colour=colour))
    return Chart("Staleness of the acting policy", MINUTES, label, per_actor) if per_actor else None


def _throughput(run: RunData) -> list[Chart]:
    learner = run.metrics.learner
    times = [record.t for record in learner]
    found = []
    for title, label, colour, counts in (
        ("Environment steps a second", "steps/s", 2, [record.step for record in learner]),
        ("Updates a second", "critic updates/s", 3, [record.updates for record in learner]),
    ):
        at, rates = speeds(times, counts)
        if len(at):
            series = Series(label, at / 60, rates, colour=colour)
            found.append(Chart(title, MINUTES, Axis(label, low=0), [series]))
    return found


def _queues(run: RunData) -> Chart | None:
    learner = run.metrics.learner
    names = sorted({name for record in learner for name in record.queues})
    series = [
        Series(
            name,
            [record.t / 60 for record in learner],
            [record.queues.get(name, np.nan) for record in learner],
            colour=colour,
        )
        for colour, name in enumerate(names)
    ]
    if not any(record.queues.get(name) for record in learner for name in names):
        return None
    return Chart("Queue depth", MINUTES, Axis(f"items ({', '.join(names)})", low=0), series)


def _losses(run: RunData) -> list[Chart]:
    """One chart for each metric of the agent: the known ones first, then the rest by name."""
    names = {name for record in run.metrics.learner for name in record.metrics}
    ordered = [name for name in KNOWN if name in names] + sorted(names - set(KNOWN))
    charts = []
    for name in ordered:
        if series := _learner(run, name, _metric(name)):
            charts.append(Chart(KNOWN.get(name, name), STEPS, Axis(name), [series]))
    return charts


def _metric(name: str) -> Callable[[LearnerRecord], float | None]:
    return lambda record: record.metrics.get(name)


def _learner(
    run: RunData, name: str, value: Callable[[LearnerRecord], float | None], colour: int = 0
) -> Series | None:
    """A learner's figure against steps; a value that was not finite breaks the line."""
    records: Sequence[LearnerRecord] = run.metrics.learner
    values = [value(record) for record in records]
    if all(item is None for item in values):
        return None
    finite = [np.nan if item is None else item for item in values]
    return Series(name, [record.step for record in records], finite, colour=colour)
