"""Every agent in configs/ conforms; agents that do not are found out."""

from collections.abc import Mapping
from importlib import resources

import numpy as np
import pytest
from agent_batches import SPEC
from omegaconf import DictConfig, open_dict

from robot_rl.agents.sac.agent import SAC
from robot_rl.commands.common import numbers_of, schedule_of
from robot_rl.config import load_config
from robot_rl.errors import ConfigError, SpecError
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
    small = SMALL[:2] if agent == "bc" else SMALL
    return load_config([f"agent={agent}", *small])


@pytest.mark.parametrize("agent", AGENTS)
def test_every_configured_agent_conforms(agent: str) -> None:
    cfg = config_of(agent)
    spec = IMAGES if "image" in agent else SPEC
    check_agent(
        lambda seed: make_agent(cfg, spec, seed=seed),
        lambda seed: make_policy(cfg, spec, seed=seed),
        spec,
    )


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_sampled_is_said_once(agent: str) -> None:
    """`agent.replay` is what the agent's sampling is made of, and what the runtime reads."""
    cfg = config_of(agent)
    sampling = make_agent(cfg, IMAGES if "image" in agent else SPEC, seed=0).sampling
    assert (sampling.utd, sampling.batch_size) == (UTD, ROWS)
    assert numbers_of(cfg).utd == UTD
    demos = sum(share.share for share in sampling.pools if share.name == "demo")
    assert demos == numbers_of(cfg).demo_ratio
    with open_dict(cfg):
        cfg.agent.replay.n_stepp = 3
    with pytest.raises(ConfigError, match=r"replay\.n_stepp is no number of robot_rl\.agents"):
        make_agent(cfg, SPEC, seed=0)


def test_a_stored_config_of_an_earlier_version_makes_its_agent() -> None:
    cfg = config_of("rlpd")
    with open_dict(cfg):
        del cfg.agent["schedule"], cfg.agent.learner["input_scaling"]
        cfg.agent.learner.update({"utd": "${..replay.utd}", "batch_size": 8, "normalize": True})
    agent = make_agent(cfg, SPEC, seed=0)
    assert isinstance(agent, SAC)
    assert agent.input_scaling == "standard"
    assert schedule_of(cfg).acts


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
        )
