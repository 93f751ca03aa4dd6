"""What `auto` and `null` in an agent's YAML come to."""

from __future__ import annotations

import pytest

from robot_rl.config import load_config
from robot_rl.factory import make_agent
from robot_rl.specs import ArraySpec, EnvSpec

SPEC = EnvSpec(
    name="Test/Auto",
    observation=(ArraySpec("state", (3,)),),
    action=ArraySpec("action", (2,), low=-1.0, high=1.0),
    command_layout=(("command", 2),),
    rate_hz=10.0,
)


@pytest.mark.parametrize(
    ("words", "scaling"),
    [
        (["env=gym", "env.id=Pendulum-v1"], "log"),
        (["task=reach"], "none"),
        (["env=gym", "env.id=Pendulum-v1", "agent.learner.input_scaling=standard"], "standard"),
    ],
)
def test_inputs_of_foreign_environments_are_scaled(words: list[str], scaling: str) -> None:
    cfg = load_config([*words, "agent=rlpd", "agent.learner.compile=false"])
    agent = make_agent(cfg, SPEC, seed=0)
    assert vars(agent)["input_scaling"] == scaling
    assert agent.sampling.reward_scale is None, "from the demonstrations"
