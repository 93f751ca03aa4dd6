"""A policy in a process of its own: answers its actor with plans, and may load torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from robot_rl.commands.common import settings_of
from robot_rl.factory import make_policy
from robot_rl.rollout.policy_child import serve
from robot_rl.runtime.rundir import RunDir


def run_policy(run_dir: Path, arguments: Sequence[str], stopping: Callable[[], bool]) -> int:
    """Until its actor closes the socket, whose number is the one argument, or SIGTERM."""
    folder = RunDir(run_dir)
    cfg, spec = folder.config(), folder.spec()
    policy = make_policy(cfg, spec, seed=settings_of(cfg).seed)
    serve(int(arguments[0]), policy, spec, stopping)
    return 0
