"""The agent's losses, gradients and parameters against a plain second implementation."""

import numpy as np
import pytest
import torch
from agent_batches import SPEC, make_batch
from reference_sac import ReferenceSAC

from robot_rl.agents.sac.agent import METRICS, SAC

ROWS, UTD, BLOCKS = 32, 3, 4


def agent_of(critics: int, subset: int, *, backup: bool = False, **options: object) -> SAC:
    sizes = {"hidden": (32, 32), "batch_size": ROWS, "utd": UTD, "metrics_every": 1}
    return SAC(
        SPEC, seed=3, critics=critics, subset=subset, entropy_backup=backup,
        **(sizes | {"compile": False} | options),  # type: ignore[arg-type]
    )  # fmt: skip


def run_reference(agent: SAC, blocks: int, *, backup: bool) -> tuple[ReferenceSAC, list[float]]:
    """The reference after the same blocks, with the agent's own random numbers."""
    reference = ReferenceSAC(agent.state(), critics=agent.critics, dim=SPEC.action_dim)
    generator = torch.Generator()
    generator.set_state(agent.generator.get_state())
    losses = []
    for block in range(blocks):
        batch = make_batch(ROWS * UTD, seed=block)
        noise = torch.randn(ROWS * (UTD + 1), SPEC.action_dim, generator=generator)
        draws = torch.rand(UTD, agent.critics, generator=generator)
        members = draws.argsort(1)[:, : agent.subset]
        data = {
            "obs": batch.obs["state"], "next_obs": batch.next_obs["state"],
            "action": batch.action, "reward": batch.reward,
            "mask": batch.mask, "discount": batch.discount, "demo": batch.demo,
        }  # fmt: skip
        for i in range(UTD):
            part = slice(i * ROWS, (i + 1) * ROWS)
            rows = {name: torch.from_numpy(array[part]) for name, array in data.items()}
            loss = reference.critic(rows, noise[part], members[i], backup)
        fading = 0.0 if agent.losses.bc_half_life is None else block / agent.losses.bc_half_life
        losses += [loss, reference.actor(rows, noise[-ROWS:], agent.losses.bc_weight * 0.5**fading)]
    return reference, losses


def assert_equal_parameters(agent: SAC, reference: ReferenceSAC, tolerance: float) -> None:
    state = agent.state()
    groups = (("critic", reference.q), ("target", reference.q_target), ("actor", [reference.pi]))
    for group, copies in groups:
        for copy, net in enumerate(copies):
            dense = [m for m in net if isinstance(m, torch.nn.Linear)]  # type: ignore[attr-defined]
            for i, module in enumerate(dense):
                name = f"{group}.w{i}"
                theirs = module.weight.detach().T.numpy()
                np.testing.assert_allclose(
                    state[name][copy], theirs, atol=tolerance, err_msg=f"{name} of copy {copy}"
                )
    alpha = reference.log_alpha.detach().numpy()
    np.testing.assert_allclose(state["log_temperature.value"], alpha, atol=1e-5)


@pytest.mark.parametrize(
    ("critics", "subset", "backup", "bc_weight", "bc_half_life"),
    [
        (2, 2, False, 0.0, None),
        (5, 2, True, 0.0, None),
        (3, 1, False, 0.5, None),
        (2, 2, False, 0.5, 2.0),
    ],
)
def test_eager_equals_the_reference(
    critics: int, subset: int, backup: bool, bc_weight: float, bc_half_life: float | None
) -> None:
    agent = agent_of(critics, subset, backup=backup, bc_weight=bc_weight, bc_half_life=bc_half_life)
    reference, losses = run_reference(agent, BLOCKS, backup=backup)
    ours = []
    for block in range(BLOCKS):
        metrics = agent.update(make_batch(ROWS * UTD, seed=block))
        assert metrics is not None
        assert set(metrics) == set(METRICS)
        ours += [metrics["critic_loss"], metrics["actor_loss"]]
    np.testing.assert_allclose(ours, losses, rtol=2e-4, atol=2e-5)
    assert_equal_parameters(agent, reference, 2e-5)


def test_ensemble_equals_a_module_loop_in_value_and_gradient() -> None:
    from reference_sac import build

    agent = agent_of(4, 2)
    state = agent.state()
    x = torch.randn(ROWS, 8, generator=torch.Generator().manual_seed(0))
    y = torch.randn(ROWS, generator=torch.Generator().manual_seed(1))
    gradient, (loss, q) = torch.func.grad_and_value(agent.losses.critic_loss, has_aux=True)(
        agent.critic.value, x, y
    )
    parts = agent.critic_layout.views(gradient)
    total = torch.zeros(())
    for copy in range(4):
        net = build(state, "critic.", copy, True)
        value = net(x)[:, 0]
        own = (value - y).square().mean()
        total = total + own.detach()
        own.backward()
        torch.testing.assert_close(q[copy], value)
        dense = [m for m in net if isinstance(m, torch.nn.Linear)]  # type: ignore[attr-defined]
        norms = [m for m in net if isinstance(m, torch.nn.LayerNorm)]  # type: ignore[attr-defined]
        for i, module in enumerate(dense):
            assert module.weight.grad is not None
            torch.testing.assert_close(parts[f"w{i}"][copy], module.weight.grad.T)
        for i, module in enumerate(norms):
            assert module.weight.grad is not None
            torch.testing.assert_close(parts[f"g{i}"][copy, 0], module.weight.grad)
    torch.testing.assert_close(loss, total)


def test_no_bootstrap_where_terminated() -> None:
    batch = make_batch(ROWS * UTD)
    batch.mask[:] = 0.0
    agent = agent_of(2, 2)
    metrics = agent.update(batch)
    assert metrics is not None
    last = batch.reward[-ROWS:].mean()
    assert metrics["target_q"] == pytest.approx(float(last), abs=1e-6)


def test_actions_at_the_bounds_are_trained_on_within_them() -> None:
    batch, inner = make_batch(ROWS * UTD), make_batch(ROWS * UTD)
    batch.action[:], inner.action[:] = 1.0, 1.0 - 1e-5
    one, two = agent_of(2, 2), agent_of(2, 2)
    one.update(batch)
    two.update(inner)
    np.testing.assert_array_equal(one.state()["critic.w0"], two.state()["critic.w0"])
