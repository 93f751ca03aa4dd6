"""RLPD learns a sparse reward from a few demonstrations; without updates it does not."""

import numpy as np
import pytest
from point_reach import SPEC, success, train

from robot_rl.agents.sac.agent import SAC
from robot_rl.networks.policy_mlp import SquashedGaussianPolicy

HIDDEN, ROWS, UTD = (64, 64), 64, 2


def agent_of(seed: int, **options: object) -> SAC:
    sizes = {"batch_size": ROWS, "utd": UTD, "hidden": HIDDEN, "compile": False, "lr": 1e-3}
    return SAC(SPEC, seed=seed, **(sizes | options))  # type: ignore[arg-type]


def test_rlpd_learns_a_sparse_reach_from_ten_demonstrations() -> None:
    agent, policy = agent_of(0, tau=0.02), SquashedGaussianPolicy(SPEC, hidden=HIDDEN, seed=0)
    policy.load(agent.policy_weights(), 1)
    untrained = success(policy, np.random.default_rng(1))
    fresh = SquashedGaussianPolicy(SPEC, hidden=HIDDEN, seed=0)
    trained = train(agent, fresh, demos=10, steps=1500, rows=ROWS * UTD, seed=0)
    assert untrained < 0.3
    assert trained >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_precisions_learn_without_demonstrations(precision: str, seed: int) -> None:
    agent = agent_of(seed, precision=precision, critics=10, tau=0.01)
    policy = SquashedGaussianPolicy(SPEC, hidden=HIDDEN, seed=seed)
    assert train(agent, policy, demos=0, steps=3000, rows=ROWS * UTD, seed=seed) >= 0.9
