"""Small environments as users bring them; each is odd in one way."""

from __future__ import annotations

import os
import socket
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

PORT = 45977


class Odd(gymnasium.Env[Any, Any]):
    """Ten random steps; kwargs make it odd."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 25}
    action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)
    observation_space: spaces.Space[Any] = spaces.Box(-1.0, 1.0, (3,), np.float32)

    def __init__(self, render_mode: str | None = None, **odd: Any) -> None:
        self.render_mode, self.odd = render_mode, odd
        self.count = self.since = 0
        if "shape" in odd:
            self.observation_space = spaces.Box(0, 255, tuple(odd["shape"]), np.uint8)
        if odd.get("exclusive"):
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", PORT))
        if odd.get("prints"):
            print("a library's banner")
            os.write(1, b"from C\n")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if self.odd.get("options") and "difficulty" not in (options or {}):
            raise ValueError("options['difficulty'] is required")
        self.count = 0
        return self.observation(), {}

    def observation(self) -> Any:
        if "shape" in self.odd:
            kind = self.odd.get("dtype", "uint8")
            values = self.np_random.uniform(0, 255 if kind == "uint8" else 1, self.odd["shape"])
            return values.astype(kind)
        size = self.odd.get("length", 3)
        return self.np_random.uniform(-1, 1, size).astype(np.float32) * self.odd.get("scale", 1)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.count += 1
        self.since += 1
        if self.since == self.odd.get("raises_at"):
            raise KeyError("gripper_state")
        done = self.count >= 10 and not self.odd.get("endless")
        at = self.observation()
        reward = {"none": None, "poisoned": np.nan}.get(self.odd.get("reward", ""), 0.0)
        return at, reward, False, done, {}

    def render(self) -> Any:
        kind = self.odd.get("render", "rgb")
        if kind == "raises":
            raise RuntimeError("GLFW: the DISPLAY environment variable is missing")
        if kind == "missing":
            raise NotImplementedError
        frames: dict[str, Any] = {
            "rgb": np.zeros((32, 48, 3), np.uint8),
            "none": None,
            "float": np.full((32, 48, 3), 0.5, np.float32),
            "wild": np.full((32, 48, 3), 300.0, np.float32),
            "gray": np.zeros((32, 48), np.uint8),
            "rgba": np.zeros((32, 48, 4), np.uint8),
            "list": [np.zeros((32, 48, 3), np.uint8)],
        }
        return frames[kind]

    def close(self) -> None:
        if self.odd.get("exclusive"):
            self.socket.close()


class Halved(gymnasium.ActionWrapper[Any, Any, Any]):
    """Halves what is done; the wrapper of the tests."""

    def __init__(self, env: gymnasium.Env[Any, Any], by: float = 2.0) -> None:
        super().__init__(env)
        self.by = by

    def action(self, action: Any) -> Any:
        return action / self.by


class Point(gymnasium.Env[Any, Any]):
    """A point that is to be driven to a goal, in its own units."""

    observation_space = spaces.Dict(
        at=spaces.Box(-np.inf, np.inf, (2,)), goal=spaces.Box(-np.inf, np.inf, (2,))
    )
    action_space = spaces.Box(-0.5, 0.5, (2,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = np.zeros(2, np.float32)
        self.goal = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at = self.at + np.asarray(action, np.float32)
        done = bool(np.linalg.norm(self.at - self.goal) < 0.1)
        return self._seen(), float(done), done, False, {"is_success": done}

    def _seen(self) -> dict[str, Any]:
        return {"at": self.at.copy(), "goal": self.goal.copy()}


def to_goal(obs: dict[str, Any]) -> Any:
    """A policy of the environment's own observation, in its own units."""
    return np.clip(obs["goal"] - obs["at"], -0.5, 0.5)


def to_goal_of(env: Any) -> Any:
    """A policy that looks into the environment."""
    return np.clip(env.goal - env.at, -0.5, 0.5)


def away(obs: dict[str, Any]) -> Any:
    """One that fails."""
    return -np.sign(obs["goal"]) * 0.5


def broken(obs: dict[str, Any]) -> Any:
    return obs["no such key"]


gymnasium.register("odd/Odd-v0", entry_point=Odd)
gymnasium.register("odd/Point-v0", entry_point=Point, max_episode_steps=20)
ODD, POINT = "odd_envs:odd/Odd-v0", "odd_envs:odd/Point-v0"
