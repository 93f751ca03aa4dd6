"""A policy cloned by squared error opens a plain drawer, and not the one with two ways round."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robot_rl.drivers.mujoco.fr3 import make
from robot_rl.envs.robot_env import RobotEnv
from robot_rl.envs.tasks.drawer_open import DrawerOpen
from robot_rl.envs.tasks.drawer_post import DrawerPost
from robot_rl.interfaces import Task
from robot_rl.types import Array

DEMOS, UPDATES, BATCH, NOISE = 40, 6000, 256, 0.1
EPISODES = 20


def demonstrate(env: RobotEnv) -> tuple[Array, Array]:
    """States and the expert's actions of DEMOS successful episodes, carried out with noise."""
    rng = np.random.default_rng(0)
    states, actions, kept, seed = [], [], 0, 100
    while kept < DEMOS:
        step, seen, done = env.reset(seed=seed), [], []
        while not (step.terminated or step.truncated):
            seen.append(step.obs["state"])
            done.append(env.expert_action())
            step = env.step(done[-1] + NOISE * rng.standard_normal(env.spec.action_dim))
        seed += 1
        if step.success:
            kept += 1
            states += seen
            actions += done
    return np.array(states), np.array(actions)


def clone(states: Array, actions: Array) -> torch.nn.Module:
    torch.manual_seed(0)
    x, y = torch.tensor(states), torch.tensor(actions)
    net = torch.nn.Sequential(
        torch.nn.BatchNorm1d(x.shape[1], affine=False),
        torch.nn.Linear(x.shape[1], 256),
        torch.nn.ReLU(),
        torch.nn.Linear(256, 256),
        torch.nn.ReLU(),
        torch.nn.Linear(256, y.shape[1]),
    )
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    for _ in range(UPDATES):
        drawn = torch.randint(len(x), (BATCH,))
        loss = ((net(x[drawn]) - y[drawn]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def successes(env: RobotEnv, net: torch.nn.Module) -> int:
    total = 0
    for seed in range(10000, 10000 + EPISODES):
        step = env.reset(seed=seed)
        while not (step.terminated or step.truncated):
            step = env.step(net(torch.tensor(step.obs["state"])[None])[0].numpy())
        total += step.success
    return total


@pytest.mark.slow
@pytest.mark.parametrize(("task", "least", "most"), [(DrawerOpen, 17, 20), (DrawerPost, 0, 8)])
def test_what_a_policy_cloned_by_squared_error_solves(
    task: type[Task], least: int, most: int
) -> None:
    env = RobotEnv(make(), task())
    assert least <= successes(env, clone(*demonstrate(env))) <= most
