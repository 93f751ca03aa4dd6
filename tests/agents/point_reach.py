"""A point that shall reach a random goal in the plane, and the direct loop that trains on it."""

from dataclasses import dataclass, field

import numpy as np

from robot_rl.interfaces import Agent, Policy
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Batch

SPEC = EnvSpec(
    name="point reach",
    observation=(ArraySpec("state", (4,)),),
    action=ArraySpec("action", (2,), low=-1.0, high=1.0),
    command_layout=(("command", 2),),
    rate_hz=0.0,
)
STEP, RADIUS, LIMIT = 0.25, 0.15, 20


@dataclass
class PointReach:
    """Position and goal in [-1, 1]^2; reward 1 and the end within RADIUS of the goal."""

    rng: np.random.Generator
    state: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    steps: int = 0

    def reset(self) -> dict[str, np.ndarray]:
        self.state, self.steps = self.rng.uniform(-1, 1, 4).astype(np.float32), 0
        return {"state": self.state.copy()}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool]:
        self.state[:2] = np.clip(self.state[:2] + STEP * action, -1, 1)
        self.steps += 1
        reached = float(np.linalg.norm(self.state[:2] - self.state[2:])) < RADIUS
        return {"state": self.state.copy()}, float(reached), reached, self.steps >= LIMIT

    def expert(self) -> np.ndarray:
        return np.clip((self.state[2:] - self.state[:2]) / STEP, -1, 1).astype(np.float32)


class Memory:
    """Rows of (obs, action, reward, next_obs, mask)."""

    def __init__(self, capacity: int = 20_000) -> None:
        self.rows = np.zeros((capacity, 4 + 2 + 1 + 4 + 1), np.float32)
        self.size = 0

    def add(self, *parts: object) -> None:
        self.rows[self.size] = np.concatenate([np.ravel(np.asarray(part)) for part in parts])
        self.size += 1

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return self.rows[rng.integers(0, self.size, count)]


def as_batch(rows: np.ndarray) -> Batch:
    obs, action, reward, next_obs, mask = np.split(rows, [4, 6, 7, 11], axis=1)
    return Batch(
        {"state": obs}, action, reward[:, 0], {"state": next_obs}, mask[:, 0],
        np.full(len(rows), 0.95, np.float32),
    )  # fmt: skip


def train(agent: Agent, policy: Policy, *, demos: int, steps: int, rows: int, seed: int) -> float:
    """Success of the last 40 deterministic episodes after `steps` steps, half of rows demos."""
    rng = np.random.default_rng(seed)
    env, shown, online = PointReach(rng), Memory(), Memory()
    for _ in range(demos):
        obs, done = env.reset(), False
        while not done:
            action = env.expert()
            new, reward, ended, cut = env.step(action)
            shown.add(obs["state"], action, reward, new["state"], 1.0 - ended)
            obs, done = new, ended or cut
    obs = env.reset()
    for step in range(steps):
        action = policy.act(obs, step, 0).actions[0]
        new, reward, ended, cut = env.step(action)
        online.add(obs["state"], action, reward, new["state"], 1.0 - ended)
        obs = env.reset() if ended or cut else new
        if step < 100:
            continue
        drawn = online.draw(rng, rows)
        if demos:
            drawn[::2] = shown.draw(rng, (rows + 1) // 2)
        agent.update(as_batch(drawn))
        if step % 10 == 0:
            policy.load(agent.policy_weights(), step)
    return success(policy, rng)


def success(policy: Policy, rng: np.random.Generator, episodes: int = 40) -> float:
    env, reached = PointReach(rng), 0
    for _ in range(episodes):
        obs, done = env.reset(), False
        while not done:
            action = policy.act(obs, 0, 0, deterministic=True).actions[0]
            obs, _, ended, cut = env.step(action)
            done = ended or cut
            reached += ended
    return reached / episodes
