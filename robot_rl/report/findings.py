"""What a run amounts to: its verdict in a sentence, and what a reader should be warned of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from robot_rl.metrics.records import EvalRecord
from robot_rl.report.rundata import RunData
from robot_rl.report.statistics import wilson_interval

GOOD = 0.9
"""Success that counts as learned."""
DIP = 0.1
"""Fall below GOOD, after it was reached, that is worth a warning."""
FINAL_SHARE = 0.4
"""The last share of the steps asked for, over which evaluations are pooled."""
UTD_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Pooled:
    """Evaluations pooled over a range of environment steps."""

    first: int
    last: int
    successes: int
    episodes: int

    @property
    def rate(self) -> float:
        return self.successes / self.episodes

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson, 95 %, episodes taken as independent."""
        return wilson_interval(self.successes, self.episodes)

    def text(self) -> str:
        low, high = self.interval
        return (
            f"{100 * self.rate:.1f} % ({self.successes} of {self.episodes}; "
            f"95 %: {100 * low:.1f} to {100 * high:.1f} %)"
        )


def pooled(evals: Sequence[EvalRecord], steps: int) -> Pooled | None:
    """Evaluations over the last FINAL_SHARE of `steps` (of those there are when it is 0)."""
    evals = [item for item in evals if item.episodes]
    if not evals:
        return None
    end = steps or evals[-1].step
    chosen = [item for item in evals if item.step >= end * (1 - FINAL_SHARE)]
    if not chosen:
        return None
    return Pooled(
        chosen[0].step,
        chosen[-1].step,
        sum(item.successes for item in chosen),
        sum(item.episodes for item in chosen),
    )


def first_good(evals: Sequence[EvalRecord]) -> EvalRecord | None:
    """The first evaluation with at least GOOD success."""
    return next((e for e in evals if e.episodes and e.successes >= GOOD * e.episodes), None)


def verdict(run: RunData) -> str:
    """The run in one sentence, with numbers."""
    evals = [item for item in run.metrics.evals if item.episodes]
    if not evals:
        state = "ended" if run.finished else "is under way or was cut short"
        return f"The run {state} after {run.step:,} environment steps without an evaluation."
    last = evals[-1]
    if not run.judged:
        value = "unknown" if last.mean_return is None else f"{last.mean_return:.4g}"
        return (
            f"Mean return {value} over {last.episodes} episodes "
            f"in the last evaluation, after {last.step:,} environment steps."
        )
    low, high = wilson_interval(last.successes, last.episodes)
    drawn = ", with actions drawn as in training," if run.sampled else ""
    sentence = (
        f"{last.successes} of {last.episodes} episodes succeed in the last evaluation{drawn} "
        f"(95 % interval {100 * low:.0f} to {100 * high:.0f} %), "
        f"after {last.step:,} environment steps"
    )
    good = first_good(evals)
    if good is None:
        return f"{sentence}; no evaluation reached {100 * GOOD:.0f} %."
    return f"{sentence}; {100 * GOOD:.0f} % was first reached after {good.step:,}."


def warnings(run: RunData) -> list[str]:
    """What was out of order, most important first; empty for a clean run."""
    found = [event.text for event in run.metrics.events if event.level != "info"]
    if not run.finished:
        asked = f" of {run.steps:,}" if run.steps else ""
        found.append(f"The run has not finished: {run.step:,}{asked} environment steps are done.")
    found += _learning(run) + _evaluations(run)
    overruns = sum(_last_overruns(run).values())
    if overruns:
        found.append(f"{overruns:,} control periods began late (actor overruns).")
    if run.metrics.unreadable:
        found.append(
            f"{run.metrics.unreadable} metrics lines could not be read "
            "(torn by a crash, or written by a newer version)."
        )
    return list(dict.fromkeys(found))


def _learning(run: RunData) -> list[str]:
    found = []
    if not run.metrics.learner:
        found.append("The learner has written no metrics.")
        return found
    ratio = run.metrics.learner[-1].utd_true
    if ratio is not None and run.utd and ratio > run.utd * (1 + UTD_TOLERANCE):
        found.append(
            f"The true update-to-data ratio {ratio:.3g} exceeds the {run.utd:g} asked for."
        )
    names = sorted(
        {
            name
            for record in run.metrics.learner
            for name, value in record.metrics.items()
            if value is None
        }
    )
    if names:
        found.append(f"Not finite at least once: {', '.join(names)}.")
    return found


def _evaluations(run: RunData) -> list[str]:
    evals = [item for item in run.metrics.evals if item.episodes]
    if not evals:
        return ["There is no evaluation: success in training includes exploration noise."]
    good = first_good(evals)
    if good is None or not run.judged:
        return []
    dips = [
        f"{100 * item.successes / item.episodes:.0f} % at {item.step:,}"
        for item in evals
        if item.step > good.step and item.successes < (GOOD - DIP) * item.episodes
    ]
    if not dips:
        return []
    return [f"Evaluations fell after {100 * GOOD:.0f} % had been reached: {', '.join(dips)} steps."]


def _last_overruns(run: RunData) -> dict[str, int]:
    return {record.actor: record.overruns for record in run.metrics.actors}
