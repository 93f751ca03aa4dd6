"""A policy in a process of its own: answers its actor with plans, and may load torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from robot_rl.commands.child_config import PolicyConfig
from robot_rl.commands.common import settings_of
from robot_rl.factory import make_policy
from robot_rl.rollout.policy_child import serve
from robot_rl.runtime.rundir import RunDir


def run_policy(config: PolicyConfig, stopping: Callable[[], bool]) -> None:
    """Until its actor closes the socket, or SIGTERM."""
    folder = RunDir(Path(config.run))
    cfg, spec = folder.config(), folder.spec()
    policy = make_policy(cfg, spec, seed=settings_of(cfg).seed)
    serve(config.socket, policy, spec, stopping)
