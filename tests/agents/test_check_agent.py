"""Every agent in configs/ conforms; agents that do not are found out."""

from collections.abc import Mapping
from importlib import resources

import numpy as np
import pytest
from agent_batches import SPEC
from omegaconf import DictConfig

from robot_rl.agents.sac.agent import SAC
from robot_rl.config import load_config
from robot_rl.errors import SpecError
from robot_rl.factory import make_agent, make_policy
from robot_rl.networks.policy_mlp import SquashedGaussianPolicy
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.testing.check_agent import check_agent
from robot_rl.types import Array, Batch

AGENTS = sorted(
    file.name[:-5]
    for file in (resources.files("robot_rl.configs") / "agent").iterdir()
    if file.name.endswith(".yaml")
)
IMAGES = EnvSpec(
    name="images",
    observation=(
        ArraySpec("state", (5,)),
        ArraySpec("wrist", (64, 64, 3), "uint8", 0, 255),
        ArraySpec("external", (64, 64, 3), "uint8", 0, 255),
    ),
    action=ArraySpec("action", (3,), low=-1.0, high=1.0),
    command_layout=(("command", 3),),
    rate_hz=10.0,
)
UTD, ROWS = 2, 8
SMALL = (
    f"agent.replay.utd={UTD}",
    f"agent.replay.batch_size={ROWS}",
    "agent.learner.compile=false",
)


def config_of(agent: str) -> DictConfig:
    return load_config([f"agent={agent}", *SMALL])


@pytest.mark.parametrize("agent", AGENTS)
def test_every_configured_agent_conforms(agent: str) -> None:
    cfg = config_of(agent)
    spec = IMAGES if "image" in agent else SPEC
    check_agent(
        lambda seed: make_agent(cfg, spec, seed=seed),
        lambda seed: make_policy(cfg, spec, seed=seed),
        spec,
        UTD * ROWS,
    )


@pytest.mark.parametrize("agent", AGENTS)
def test_the_runtime_finds_its_numbers(agent: str) -> None:
    cfg = config_of(agent)
    assert cfg.agent.learner.utd == cfg.agent.replay.utd == UTD
    assert cfg.agent.learner.batch_size == cfg.agent.replay.batch_size == ROWS
    assert 0.0 < cfg.agent.replay.discount < 1.0
    assert 0.0 <= cfg.agent.replay.demo_ratio <= 1.0


class Forgetful(SAC):
    """Leaves its random numbers out of the state."""

    def load_state(self, state: Mapping[str, Array]) -> None:
        super().load_state(state)
        self.generator.manual_seed(1)


class Gullible(SAC):
    """Takes NaN."""

    def update(self, batch: Batch) -> dict[str, float] | None:
        np.nan_to_num(batch.reward, copy=False)
        return super().update(batch)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(Forgetful, "after load_state.*differs"), (Gullible, "NaN in a batch's reward was accepted")],
)
def test_broken_agents_are_found_out(broken: type[SAC], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_agent(
            lambda seed: broken(
                SPEC, seed=seed, batch_size=ROWS, utd=UTD, hidden=(8,), compile=False
            ),
            lambda seed: SquashedGaussianPolicy(SPEC, hidden=(8,), seed=seed),
            SPEC,
            UTD * ROWS,
        )


class Unseeded(SquashedGaussianPolicy):
    """Goes on drawing from where it was."""

    def reset(self, seed: int | None = None) -> None:
        super().reset()


def test_a_policy_that_ignores_its_seed_is_found_out() -> None:
    with pytest.raises(SpecError, match="reset\\(seed\\) does not decide"):
        check_agent(
            lambda seed: SAC(SPEC, seed=seed, batch_size=ROWS, utd=UTD, hidden=(8,), compile=False),
            lambda seed: Unseeded(SPEC, hidden=(8,), seed=seed),
            SPEC,
            UTD * ROWS,
        )
