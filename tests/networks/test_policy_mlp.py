"""The NumPy policy: the agent's distribution, its refusals, and no torch."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from robot_rl.agents.sac.agent import SAC
from robot_rl.errors import PoisonedDataError, SpecError
from robot_rl.networks.policy_mlp import SquashedGaussianPolicy
from robot_rl.networks.scaling import InputScaling
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Batch

SPEC = EnvSpec(
    name="two parts",
    observation=(ArraySpec("state", (4,)), ArraySpec("extra", (2, 2), "float64")),
    action=ArraySpec("action", (3,), low=-1.0, high=1.0),
    command_layout=(("command", 3),),
    rate_hz=10.0,
)
OBS = {"state": np.array([1, -2, 3, 0.5], np.float32), "extra": np.array([[0.1, 7], [2, -1]])}


def make_agent(*, input_scaling: InputScaling = "none") -> SAC:
    return SAC(
        SPEC, seed=0, batch_size=16, utd=1, hidden=(16, 16), compile=False,
        input_scaling=input_scaling, final_scale=1.0,
    )  # fmt: skip


def make_policy(seed: int = 0) -> SquashedGaussianPolicy:
    return SquashedGaussianPolicy(SPEC, hidden=(16, 16), seed=seed)


def batch() -> Batch:
    rng = np.random.default_rng(0)

    def obs() -> dict[str, np.ndarray]:
        return {
            "state": rng.normal(3.0, 2.0, (16, 4)).astype(np.float32),
            "extra": rng.normal(-1.0, 0.5, (16, 2, 2)),
        }

    ones = np.ones(16, np.float32)
    action = rng.uniform(-1, 1, (16, 3)).astype(np.float32)
    return Batch(obs(), action, ones, obs(), ones, ones)


@pytest.mark.parametrize("input_scaling", ["none", "standard", "log"])
def test_deterministic_action_is_the_agents_tanh_mean(input_scaling: InputScaling) -> None:
    """The policy scales its inputs as the agent does, those far outside of the data included."""
    agent, policy = make_agent(input_scaling=input_scaling), make_policy()
    agent.update(batch())
    policy.load(agent.policy_weights(), 1)
    flat = np.concatenate([OBS["state"], OBS["extra"].ravel()]).astype(np.float32)
    scale = agent.state()["scale"]
    z = (flat - scale[0]) / scale[1]
    expected = {"none": flat, "standard": z, "log": np.sign(z) * np.log1p(np.abs(z))}
    x = torch.from_numpy(expected[input_scaling])[None]
    np.testing.assert_allclose(agent.scaled(torch.from_numpy(flat)[None]), x, rtol=1e-6)
    assert input_scaling == "none" or np.abs(z).max() > 3.0
    noise = torch.zeros(1, 3)
    action, _ = agent.losses.sample(agent.actor.value, x, noise)
    ours = policy.act(OBS, 0, 0, deterministic=True).actions
    np.testing.assert_allclose(ours, action.numpy(), atol=1e-5)


def test_stochastic_actions_follow_the_agents_distribution() -> None:
    agent, policy = make_agent(), make_policy()
    policy.load(agent.policy_weights(), 1)
    flat = np.concatenate([OBS["state"], OBS["extra"].ravel()]).astype(np.float32)
    count = 20_000
    noise = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(flat).expand(count, -1)
    theirs = agent.losses.sample(agent.actor.value, x, noise)[0].double().numpy()
    drawn = [policy.act(OBS, 0, 0).actions[0] for _ in range(count)]
    ours = np.array(drawn, np.float64)
    spread = theirs.std(0)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 5 * spread * np.sqrt(2 / count)).all()
    np.testing.assert_allclose(ours.std(0), spread, rtol=0.05)


def test_before_weights_it_is_uniform_and_seeded() -> None:
    one, same, other = make_policy(1), make_policy(1), make_policy(2)
    drawn = np.array([one.act(OBS, 0, 0).actions[0] for _ in range(4000)])
    assert one.version == 0
    assert np.abs(drawn).max() <= 1.0
    assert np.abs(drawn.mean(0)).max() < 5 / np.sqrt(3 * 4000)
    np.testing.assert_allclose(drawn.std(0), 1 / np.sqrt(3), rtol=0.05)
    np.testing.assert_array_equal(same.act(OBS, 0, 0).actions[0], drawn[0])
    assert (other.act(OBS, 0, 0).actions[0] != drawn[0]).any()


def test_bad_weights_are_refused_and_the_old_ones_stay() -> None:
    policy, weights = make_policy(), make_agent().policy_weights()
    policy.load(weights, 1)
    kept = policy.act(OBS, 0, 0, deterministic=True).actions
    poisoned = weights | {"actor.b1": np.full_like(weights["actor.b1"], np.nan)}
    with pytest.raises(PoisonedDataError, match=r"actor\.b1.*version 2.*version 1 stays"):
        policy.load(poisoned, 2)
    wide = weights | {"actor.w0": np.zeros((9, 16), np.float32)}
    with pytest.raises(SpecError, match=r"actor\.w0.*\[9, 16\].*valid: \[8, 16\]"):
        policy.load(wide, 2)
    missing = {name: array for name, array in weights.items() if name != "actor.w2"}
    with pytest.raises(SpecError, match=r"lack 'actor\.w2'"):
        policy.load(missing, 2)
    assert policy.version == 1
    np.testing.assert_array_equal(policy.act(OBS, 0, 0, deterministic=True).actions, kept)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scale.log": None}, SpecError, r"scale\.log': got none, valid: \[1\]"),
        ({"scale.mean": np.zeros(3, np.float32)}, SpecError, r"scale\.mean': got \[3\]"),
        ({"scale.deviation": np.zeros(8, np.float32)}, PoisonedDataError, r"scale\.deviation': 0"),
        ({"scale.mean": np.full(8, np.inf, np.float32)}, PoisonedDataError, r"scale\.mean' hold"),
    ],
)
def test_a_bad_input_scale_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    agent, policy = make_agent(input_scaling="log"), make_policy()
    agent.update(batch())
    policy.load(agent.policy_weights(), 1)
    kept = policy.act(OBS, 0, 0, deterministic=True).actions
    bad = {k: v for k, v in (agent.policy_weights() | changes).items() if v is not None}
    with pytest.raises(error, match=message):
        policy.load(bad, 2)
    np.testing.assert_array_equal(policy.act(OBS, 0, 0, deterministic=True).actions, kept)


def test_actions_are_not_overwritten_by_later_ones() -> None:
    policy = make_policy()
    policy.load(make_agent().policy_weights(), 1)
    first = policy.act(OBS, 0, 0).actions
    kept = first.copy()
    policy.act(OBS, 1, 0)
    np.testing.assert_array_equal(first, kept)


def test_images_are_refused() -> None:
    camera = ArraySpec("wrist", (8, 8, 3), "uint8", 0, 255)
    spec = EnvSpec("images", (camera,), SPEC.action, (("command", 3),), 10.0)
    with pytest.raises(SpecError, match=r"wrist.*valid: the image policy"):
        SquashedGaussianPolicy(spec)


def test_the_actors_process_needs_no_torch() -> None:
    code = "import sys, robot_rl.networks.policy_mlp; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
