"""One check before any process starts, on environments opened as the processes will open them."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from omegaconf import DictConfig, OmegaConf

from robot_rl.commands.common import settings_of
from robot_rl.commands.video import NoVideo, drawn
from robot_rl.errors import ConfigError, RobotRLError
from robot_rl.factory import make_env
from robot_rl.testing.preflight import FirstLook, first_look

SLOW_S = 5.0
"""An environment that takes longer to open is not opened a second time for the check."""


def preflight(
    cfg: DictConfig,
    env: Any,
    *,
    opened_s: float = 0.0,
    evaluates: bool = True,
    alone: bool = False,
) -> tuple[FirstLook | None, list[str]]:
    """Looks at an open environment and, where a run would open it twice, at a second one.

    opened_s: how long the first took to open; evaluates: whether an evaluator runs beside it;
    alone: no process opens another one.
    Gives what the first steps showed (None on a robot: it is not moved here) and one line for each
    thing that is odd; raises a RobotRLError with the remedy on what would fail later.
    """
    if not getattr(env, "simulated", True):
        if alone:
            return None, []
        _check_one_device(cfg, f"robot={cfg.choices.robot}", evaluates=evaluates)
        return None, []
    look = first_look(env)
    notes = list(look.notes)
    if "id" not in cfg.env:  # of this project's simulation there can be any number, and it draws
        return look, notes
    if alone or not _opened_twice(cfg, evaluates):
        return look, notes
    if opened_s > SLOW_S:
        notes.append(f"opening it took {opened_s:.0f} s: whether it opens twice was not tried")
    else:
        notes += _second(cfg, env, evaluates)
    return look, notes


def open_env(cfg: DictConfig) -> tuple[Any, float]:
    """The configured environment, and how long it took to open, s."""
    began = time.monotonic()
    return make_env(cfg), time.monotonic() - began


def _second(cfg: DictConfig, first: Any, evaluates: bool) -> list[str]:
    """Opens a second environment beside the first, as the evaluator does, and draws it."""
    films = evaluates and settings_of(cfg).evaluation.video_episodes > 0
    try:
        with closing(make_env(cfg, render_mode="rgb_array" if films else None)) as second:
            if films:
                second.reset(0)
                drawn(second)
    except NoVideo as error:
        return [f"no video: {error}"]
    except RobotRLError as error:
        reason = f"no video: {error}"
        if films and _opens(cfg):  # with the render mode it did not
            return [reason]
        first.close()
        if _opens(cfg):
            _check_one_device(cfg, f"env.id='{cfg.env.id}'", f" ({error})", evaluates=evaluates)
        if films:
            return [reason]
        raise
    return []


def _opens(cfg: DictConfig) -> bool:
    try:
        make_env(cfg).close()
    except RobotRLError:
        return False
    return True


def _opened_twice(cfg: DictConfig, evaluates: bool) -> bool:
    settings = settings_of(cfg)
    return settings.actors > 1 or (evaluates and _evaluator_has_its_own(cfg))


def _evaluator_has_its_own(cfg: DictConfig) -> bool:
    where = OmegaConf.select(cfg, "evaluation.where", default="")
    return settings_of(cfg).evaluation.episodes > 0 and where != "actor"


def _check_one_device(cfg: DictConfig, what: str, why: str = "", *, evaluates: bool) -> None:
    """ConfigError where a device that opens once would be opened twice."""
    settings = settings_of(cfg)
    if settings.actors > 1:
        raise ConfigError(
            f"{what} opens once at a time{why}, and actors={settings.actors} would open it as "
            "often; valid: actors=1"
        )
    if evaluates and _evaluator_has_its_own(cfg):
        raise ConfigError(
            f"{what} opens once at a time{why}, and the evaluator would open it beside the actor; "
            "valid: evaluation.where=actor (between training episodes, in the actor's own), or "
            "evaluation.episodes=0"
        )
