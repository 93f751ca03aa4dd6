"""Gymnasium ids of the shipped tasks: configs/task/pick_cube.yaml gives robot_rl/PickCube-v0.

`import robot_rl` registers them (Gymnasium 1 loads no plug-ins by itself), and so does the
`gymnasium.envs` entry point for versions that do. Nothing heavy is imported before `make`.
"""

from __future__ import annotations

from importlib import resources

import gymnasium

NAMESPACE = "robot_rl"


def register_envs() -> None:
    """Registers every shipped task once."""
    for entry in resources.files("robot_rl.configs").joinpath("task").iterdir():
        if not entry.name.endswith(".yaml"):
            continue
        task = entry.name.removesuffix(".yaml")
        words = [word.capitalize() for word in task.split("_")]
        name = f"{NAMESPACE}/{''.join(words)}-v0"
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point="robot_rl.factory:make_registered",
                kwargs={"task": task},
                order_enforce=False,
                disable_env_checker=True,
            )
