"""LeRobot's SAC as it ships: the loop of its learner, state observations, no replay or transport.

One block is `utd` critic updates with LeRobot's optimisers, gradient clipping and target update,
then one actor and one temperature update. Two of its critics make a target, as in ours.

    python tests/benchmarks/lerobot_sac.py <<< '{"critics": 2, "blocks": 3}'
"""

from __future__ import annotations

import time
from functools import cache
from importlib.metadata import version
from typing import Any

from answering import answer, one_core

one_core()

import torch  # noqa: E402 (after the binding)
from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402
from lerobot.policies.sac.configuration_sac import SACConfig  # noqa: E402
from lerobot.policies.sac.modeling_sac import SACPolicy  # noqa: E402

OBS, ACTION, BATCH = 40, 7, 256


class Learner:
    """A policy, its optimisers as its learner makes them, and a batch."""

    def __init__(self, critics: int) -> None:
        torch.set_num_threads(1)
        config = SACConfig(
            input_features={"observation.state": PolicyFeature(FeatureType.STATE, (OBS,))},
            output_features={"action": PolicyFeature(FeatureType.ACTION, (ACTION,))},
            device="cpu",
            num_critics=critics,
            num_subsample_critics=2 if critics > 2 else None,
        )
        self.policy, self.clip = SACPolicy(config), config.grad_clip_norm
        self.policy.train()
        self.critic_parameters = list(self.policy.critic_ensemble.parameters())
        self.actor_parameters = list(self.policy.actor.parameters())
        self.critic = torch.optim.Adam(self.critic_parameters, lr=config.critic_lr)
        self.actor = torch.optim.Adam(self.actor_parameters, lr=config.actor_lr)
        self.temperature = torch.optim.Adam([self.policy.log_alpha], lr=config.critic_lr)
        self.batch = {
            "state": {"observation.state": torch.randn(BATCH, OBS)},
            "next_state": {"observation.state": torch.randn(BATCH, OBS)},
            "action": torch.rand(BATCH, ACTION) * 2 - 1,
            "reward": torch.randn(BATCH),
            "done": torch.zeros(BATCH),
        }
        self.block(2)

    def step(self, model: str, optimizer: Any, parameters: list[torch.Tensor]) -> None:
        loss = self.policy.forward(self.batch, model=model)[f"loss_{model}"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, self.clip)
        optimizer.step()

    def block(self, utd: int) -> None:
        for _ in range(utd):
            self.step("critic", self.critic, self.critic_parameters)
            self.policy.update_target_networks()
        self.step("actor", self.actor, self.actor_parameters)
        self.step("temperature", self.temperature, [self.policy.log_alpha])
        if hasattr(self.policy, "update_temperature"):  # a cached value in older versions
            self.policy.update_temperature()


@cache
def learner(critics: int) -> Learner:
    return Learner(critics)


def measure(critics: int = 2, utd: int = 20, blocks: int = 3) -> dict[str, Any]:
    """Critic updates a second."""
    theirs = learner(critics)
    start = time.perf_counter()
    for _ in range(blocks):
        theirs.block(utd)
    return {"critic_updates_per_s": blocks * utd / (time.perf_counter() - start)}


if __name__ == "__main__":
    answer({name: version(name) for name in ("lerobot", "torch")}, measure)
