"""Parts of an agent load one by one: as they are, in another number, from a policy's weights."""

import numpy as np
import pytest
from agent_batches import SPEC, make_batch

from robot_rl.agents.bc import BC
from robot_rl.agents.common.parameters import split_parts
from robot_rl.agents.sac.agent import SAC
from robot_rl.errors import CheckpointError


def sac(seed: int = 0, **options: object) -> SAC:
    sizes = {"batch_size": 16, "utd": 2, "hidden": (16, 16), "compile": False}
    return SAC(SPEC, seed=seed, **(sizes | options))  # type: ignore[arg-type]


def taught(seed: int = 0, **options: object) -> SAC:
    agent = sac(seed, **options)
    for i in range(3):
        agent.update(make_batch(32, seed=i))
    return agent


def test_a_part_brings_its_followers_and_leaves_the_rest() -> None:
    one, two = taught(), sac(1)
    before = two.state()
    two.load_part("critic", split_parts(one.state())["critic"])
    ours, theirs = two.state(), one.state()
    for name, array in ours.items():
        if name.startswith(("critic.w", "critic.b", "critic.g", "critic.s")) and "s.w" not in name:
            if name.startswith(("critic.square", "critic.steps")):
                np.testing.assert_array_equal(array, before[name], err_msg=name)
            else:
                np.testing.assert_array_equal(array, theirs[name], err_msg=name)
        elif name.startswith("target."):
            critic = theirs[name.replace("target", "critic")]
            np.testing.assert_array_equal(array, critic, err_msg=name)
        else:
            np.testing.assert_array_equal(array, before[name], err_msg=name)
    two.load_part("target", split_parts(one.state())["target"])
    np.testing.assert_array_equal(two.state()["target.w0"], theirs["target.w0"])


def test_two_critics_become_ten_that_differ_and_ten_become_two() -> None:
    two, ten = taught(critics=2), sac(1, critics=10)
    source = split_parts(two.state())["critic"]
    ten.load_part("critic", source)
    grown = ten.parts()["critic"]
    for name, array in source.items():
        np.testing.assert_array_equal(grown[name][:2], array)
    spread = source["w1"].std()
    for member in range(2, 10):
        off = grown["w1"][member] - source["w1"][member % 2]
        assert 0.08 * spread < off.std() < 0.12 * spread
    assert len({grown["w1"][i].tobytes() for i in range(10)}) == 10
    np.testing.assert_array_equal(ten.parts()["target"]["w1"], grown["w1"])
    back = sac(2, critics=2)
    back.load_part("critic", grown)
    np.testing.assert_array_equal(back.parts()["critic"]["w1"], source["w1"])


@pytest.mark.parametrize("source", ["state", "policy_weights"])
def test_sac_begins_with_a_cloned_actor(source: str) -> None:
    cloned = BC(SPEC, seed=0, batch_size=16, utd=2, hidden=(16, 16), input_scaling="log")
    cloned.update(make_batch(32))
    there = split_parts(getattr(cloned, source)())
    agent = sac(3, input_scaling="log")
    for part in ("scale", "actor"):
        agent.load_part(part, there[part])
    agent.prepare({"state": np.zeros((5, 5), np.float32)})
    ours, theirs = agent.policy_weights(), cloned.policy_weights()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_what_does_not_fit_is_refused_by_name() -> None:
    agent, good = sac(), split_parts(taught().state())
    before = agent.state()
    wide = split_parts(sac(hidden=(32, 32)).state())
    poisoned = good["actor"] | {"b1": np.full_like(good["actor"]["b1"], np.nan)}
    cases = (
        ("actr", good["actor"], "no part 'actr': did you mean 'actor'"),
        ("actor", wide["actor"], r"part 'actor': 'w0': got .*32\], valid: .*16\]"),
        ("actor", {}, "part 'actor' lacks 'w0'"),
        ("actor", poisoned, "'b1' holds NaN"),
        ("critic", good["critic"] | {"w9": np.zeros(1)}, "unknown 'w9'"),
    )
    for name, arrays, message in cases:
        with pytest.raises(CheckpointError, match=message):
            agent.load_part(name, arrays)
    for name, array in agent.state().items():
        np.testing.assert_array_equal(array, before[name])
