"""Evaluation in the actor, between its training episodes: for one robot, or a device of one user.

The newest weights are frozen for as long as it takes. Its episodes go into the log with
Purpose.EVALUATION: no pool draws them, and they take no credit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_rl.metrics.writer import MetricsWriter
from robot_rl.rollout.episode import Episode
from robot_rl.rollout.loop import Rollout
from robot_rl.runtime.evaluator import evaluate, record_of


@dataclass(slots=True)
class ActorEvaluation:
    """Due each `every` training steps; seeds and records are those of the evaluator's process."""

    metrics: MetricsWriter
    every: int
    episodes: int
    seed: int
    sampled: bool
    done: int = 0
    """Training steps of the last evaluation."""

    def due(self, steps: int) -> bool:
        """Whether an evaluation point lies between the last one and `steps`."""
        return steps // self.every > self.done // self.every

    def run(self, rollout: Rollout, steps: int, proceed: Callable[[Episode], bool]) -> None:
        """Evaluates and leaves an EvalRecord; what was cut short is done again when next due.

        RobotFault where a fault is latched that a person has to clear.
        """
        point = steps // self.every * self.every
        result = evaluate(
            rollout,
            episodes=self.episodes,
            seed=self.seed + point,
            sampled=self.sampled,
            proceed=proceed,
        )
        if len(result.lengths) == self.episodes:
            self.done = point
            self.metrics.write(record_of(result, point))
