"""A saved and loaded agent goes on bit-equal; wrong states are refused by name."""

import numpy as np
import pytest
from agent_batches import SPEC, make_batch

from robot_rl.agents.sac.agent import SAC
from robot_rl.errors import CheckpointError


def small(seed: int = 0, **options: object) -> SAC:
    sizes = {"batch_size": 16, "utd": 3, "hidden": (16, 16), "compile": False}
    return SAC(SPEC, seed=seed, **(sizes | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("critics", [2, 4])
def test_resume_is_bit_equal(critics: int) -> None:
    agent = small(critics=critics)
    for i in range(3):
        agent.update(make_batch(48, seed=i))
    saved = agent.state()
    other = small(seed=9, critics=critics)
    other.load_state(saved)
    for i in range(3, 6):
        agent.update(make_batch(48, seed=i))
        other.update(make_batch(48, seed=i))
    ours, theirs = agent.state(), other.state()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert any((saved[name] != ours[name]).any() for name in saved)


def test_same_seed_same_agent_other_seed_other_agent() -> None:
    one, same, other = small(1), small(1), small(2)
    for agent in (one, same, other):
        agent.update(make_batch(48))
    np.testing.assert_array_equal(one.state()["actor.w0"], same.state()["actor.w0"])
    assert (one.state()["actor.w0"] != other.state()["actor.w0"]).any()


def test_state_is_a_copy() -> None:
    agent = small()
    before = agent.state()
    kept = {name: array.copy() for name, array in before.items()}
    agent.update(make_batch(48))
    for name, array in before.items():
        np.testing.assert_array_equal(array, kept[name])


def test_wrong_states_are_refused_by_name_and_leave_the_agent() -> None:
    agent = small()
    good = agent.state()
    missing = {name: array for name, array in good.items() if name != "critic.w1"}
    wide = small(hidden=(32, 32)).state()
    poisoned = good | {"target.b0": np.full_like(good["target.b0"], np.nan)}
    cases = ((missing, r"critic\.w1"), (wide, "critic.*valid"), (poisoned, r"target\.b0.*NaN"),
             (good | {"colour": np.zeros(3)}, "unknown 'colour'"))  # fmt: skip
    for state, message in cases:
        with pytest.raises(CheckpointError, match=message):
            agent.load_state(state)
    for name, array in agent.state().items():
        np.testing.assert_array_equal(array, good[name])
