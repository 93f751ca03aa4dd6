"""A `RobotEnvironment` as a `gymnasium.Env`, for everybody outside this project."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from robot_rl.interfaces import RobotEnvironment
from robot_rl.specs import ArraySpec
from robot_rl.types import Array, Step

MAX_SEED = 2**31


class GymnasiumAdapter(gymnasium.Env[Any, Array]):
    """env = GymnasiumAdapter(environment); obs, info = env.reset(seed=0)

    `info` holds the rest of `Step`: executed (dim,) float32, commanded (command_dim,) float32,
    limiting_stage, success (1, 0, or -1 not judged), stamp_ns, action_stamp_ns and boot_id of the
    robot's clock, stamps (of each array of the observation), late_ns, fault, metrics.
    """

    def __init__(self, environment: RobotEnvironment, render_mode: str | None = None) -> None:
        self.environment = environment
        spec = environment.spec
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(spec.rate_hz) or 30}
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, spec.action.shape, np.float32)
        self.observation_space: gymnasium.spaces.Dict = gymnasium.spaces.Dict(
            {array.name: _space(array) for array in spec.observation}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Equal seeds are equal episodes; without one the next is drawn from the last."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(MAX_SEED)) if seed is None else seed
        step = self.environment.reset(drawn)
        return dict(step.obs), info_of(step)

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        step = self.environment.step(action)
        return dict(step.obs), step.reward, step.terminated, step.truncated, info_of(step)

    def render(self) -> Any:
        return self.environment.render()

    def close(self) -> None:
        self.environment.close()


def info_of(step: Step) -> dict[str, Any]:
    """What a Step says beside observation, reward and flags."""
    return {
        "executed": step.executed,
        "commanded": step.commanded,
        "limiting_stage": step.stage,
        "success": step.success,
        "stamp_ns": step.stamp_ns,
        "action_stamp_ns": step.action_stamp_ns,
        "boot_id": step.boot_id,
        "stamps": dict(step.stamps),
        "late_ns": step.late_ns,
        "fault": step.fault,
        "metrics": dict(step.metrics),
    }


def _space(array: ArraySpec) -> gymnasium.spaces.Box:
    dtype = np.uint8 if array.dtype == "uint8" else np.float32
    return gymnasium.spaces.Box(array.low, array.high, array.shape, dtype)
