"""What a session says of itself at its start, in the metrics and so in terminal and report."""

from __future__ import annotations

from robot_rl.commands.common import numbers_of, settings_of
from robot_rl.metrics.records import RunRecord
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.rundir import RunDir


def announce(
    folder: RunDir, metrics: MetricsWriter, *, learns: bool = True, acts: bool = True
) -> None:
    """A learner that acts nowhere here has its task from its first actor: "" until that has come.

    Call it again then. What robot there is, such a learner never hears.
    """
    cfg = folder.config()
    settings = settings_of(cfg)
    task, robot = str(cfg.choices.task), str(cfg.choices.robot)
    if not acts:
        task, robot = folder.spec().name if folder.logged else "", ""
    elif "id" in cfg.env:
        task, robot = str(cfg.env.id), ""
    metrics.write(
        RunRecord(
            task=task,
            robot=robot,
            agent=str(cfg.choices.agent),
            seed=settings.seed,
            steps=settings.steps if learns else 0,
            utd=numbers_of(cfg).utd,
        )
    )
