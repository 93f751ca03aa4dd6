"""The discrete gripper head: its loss against a plain one, its policy, and that it learns."""

import numpy as np
import torch
from agent_batches import SPEC, make_batch
from torch import nn

from robot_rl.agents.sac.agent import SAC
from robot_rl.networks.policy_gripper import GripperPolicy
from robot_rl.specs import ArraySpec, EnvSpec
from robot_rl.types import Batch

ROWS, UTD = 32, 2


def agent_of(**options: object) -> SAC:
    sizes = {"batch_size": ROWS, "utd": UTD, "hidden": (16, 16), "compile": False}
    sizes |= {"discrete_gripper": True, "final_scale": 1.0}
    return SAC(SPEC, seed=0, **(sizes | options))  # type: ignore[arg-type]


def module(arrays: dict[str, np.ndarray], prefix: str) -> nn.Sequential:
    parts: list[nn.Module] = []
    for i in range(3):
        weight = torch.tensor(arrays[f"{prefix}w{i}"][0])
        dense = nn.Linear(*weight.shape)
        dense.weight.data, dense.bias.data = weight.T, torch.tensor(arrays[f"{prefix}b{i}"][0, 0])
        parts += [dense] if i == 2 else [dense, nn.LayerNorm(weight.shape[1]), nn.ReLU()]
    return nn.Sequential(*parts)


def test_head_equals_a_plain_double_dqn() -> None:
    agent, batch = agent_of(), make_batch(ROWS * UTD)
    state = agent.state()
    online, target = module(state, "gripper."), module(state, "gripper_target.")
    adam = torch.optim.Adam(online.parameters(), lr=3e-4)
    for i in range(UTD):
        rows = slice(i * ROWS, (i + 1) * ROWS)
        obs, new = (torch.from_numpy(x["state"][rows]) for x in (batch.obs, batch.next_obs))
        command = torch.from_numpy(np.rint(batch.action[rows, -1]).astype(np.int64) + 1)
        factor = torch.from_numpy(batch.discount[rows] * batch.mask[rows])
        with torch.no_grad():
            best = online(new).argmax(1)
            y = torch.from_numpy(batch.reward[rows]) + factor * target(new)[range(ROWS), best]
        adam.zero_grad()
        (online(obs)[range(ROWS), command] - y).square().mean().backward()
        adam.step()
        with torch.no_grad():
            for ours, theirs in zip(target.parameters(), online.parameters(), strict=True):
                ours.lerp_(theirs, 0.005)
    agent.update(batch)
    after = agent.state()
    for prefix, net in (("gripper.", online), ("gripper_target.", target)):
        dense = [part for part in net if isinstance(part, nn.Linear)]
        for i, part in enumerate(dense):
            weight = part.weight.detach().T.numpy()
            np.testing.assert_allclose(after[f"{prefix}w{i}"][0], weight, atol=2e-5)


def test_the_continuous_part_does_not_see_the_gripper() -> None:
    one, two, batch = agent_of(), agent_of(), make_batch(ROWS * UTD)
    one.update(batch)
    batch.action[:, -1] *= -1.0
    two.update(batch)
    ours, theirs = one.state(), two.state()
    np.testing.assert_array_equal(ours["critic.w0"], theirs["critic.w0"])
    assert (ours["gripper.w0"] != theirs["gripper.w0"]).any()


TWO_ARMS = EnvSpec(
    name="two arms",
    observation=(ArraySpec("state", (5,)),),
    action=ArraySpec("action", (4,), low=-1.0, high=1.0),
    command_layout=(("command", 16),),
    rate_hz=10.0,
    facts=(("action_axes", "arm0.x,arm0.gripper,arm1.x,arm1.gripper"),),
)


def test_each_of_two_arms_learns_its_own_gripper() -> None:
    """The first gripper's command pays by the first number, the second's by the second."""
    agent = SAC(
        TWO_ARMS, seed=0, batch_size=ROWS, utd=UTD, hidden=(32, 32), compile=False, lr=3e-3,
        discrete_gripper=True, input_scaling="standard",
    )  # fmt: skip
    policy = GripperPolicy(TWO_ARMS, hidden=(32, 32), epsilon=0.0, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(250):
        x = rng.normal(0.0, 3.0, (ROWS * UTD, 5)).astype(np.float32)
        action = rng.uniform(-1, 1, (ROWS * UTD, 4)).astype(np.float32)
        action[:, [1, 3]] = rng.integers(-1, 2, (ROWS * UTD, 2))
        reward = (action[:, [1, 3]] * np.sign(x[:, :2])).sum(1)
        zeros, ones = np.zeros(ROWS * UTD, np.float32), np.ones(ROWS * UTD, np.float32)
        agent.update(Batch({"state": x}, action, reward, {"state": x}, zeros, ones))
    drawn = policy.act({"state": x[0]}, 0, 0).actions[0]
    assert set(drawn[[1, 3]]) <= {-1.0, 0.0, 1.0}
    policy.load(agent.policy_weights(), 1)
    clear = x[(np.abs(x[:, :2]) > 1.5).all(1)]
    greedy = np.array([policy.act({"state": row}, 0, 0).actions[0] for row in clear])
    assert len(clear) > 10
    np.testing.assert_array_equal(greedy[:, [1, 3]], np.sign(clear[:, :2]))
    assert (np.abs(greedy[:, [0, 2]]) < 1.0).all()


def test_it_learns_which_command_pays_and_the_policy_gives_it() -> None:
    """Open pays where the first number is positive, close where it is negative."""
    agent = agent_of(lr=3e-3, input_scaling="standard")
    policy = GripperPolicy(SPEC, hidden=(16, 16), epsilon=0.25, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(150):
        x = rng.normal(2.0, 3.0, (ROWS * UTD, 5)).astype(np.float32)
        action = rng.uniform(-1, 1, (ROWS * UTD, 3)).astype(np.float32)
        action[:, -1] = rng.integers(-1, 2, ROWS * UTD)
        reward = (action[:, -1] * np.sign(x[:, 0])).astype(np.float32)
        zeros, ones = np.zeros(ROWS * UTD, np.float32), np.ones(ROWS * UTD, np.float32)
        agent.update(Batch({"state": x}, action, reward, {"state": x}, zeros, ones))
    assert policy.version == 0
    assert policy.act({"state": x[0]}, 0, 0).actions[0, -1] in (-1.0, 0.0, 1.0)
    policy.load(agent.policy_weights(), 1)
    clear = x[np.abs(x[:, 0]) > 1.0]
    greedy = [policy.act({"state": row}, 0, 0, deterministic=True).actions[0, -1] for row in clear]
    np.testing.assert_array_equal(greedy, np.sign(clear[:, 0]))
    row = {"state": clear[0]}
    drawn = [policy.act(row, 0, 0).actions[0, -1] for _ in range(2000)]
    share = float(np.mean(np.array(drawn) != np.sign(clear[0, 0])))
    assert abs(share - 0.25 * 2 / 3) < 0.05
