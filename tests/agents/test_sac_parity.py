"""Compiled and low-precision updates held to eager float32: loss, gradients, parameters."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agent_batches import SPEC, make_batch

from robot_rl.agents.common.compiling import compiled, has_toolchain
from robot_rl.agents.sac.agent import SAC
from robot_rl.agents.sac.image import ImageSAC
from robot_rl.specs import ArraySpec

ROWS, UTD = 32, 2
needs_compiler = pytest.mark.skipif(not has_toolchain(), reason="no C++ compiler")


def agent_of(**options: object) -> SAC:
    sizes = {"hidden": (32, 32), "batch_size": ROWS, "utd": UTD, "metrics_every": 1}
    sizes |= {"critics": 4, "final_scale": 1.0, "bc_weight": 0.1}
    return SAC(SPEC, seed=3, **(sizes | options))  # type: ignore[arg-type]


def after(agent: SAC, blocks: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    metrics: dict[str, float] | None = None
    for block in range(blocks):
        metrics = agent.update(make_batch(ROWS * UTD, seed=block))
    assert metrics is not None
    return metrics, agent.state()


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    scale = float(np.abs(theirs).max())
    return float(np.abs(ours - theirs).max()) / scale if scale else float(np.abs(ours).max())


@pytest.fixture(scope="module")
def fast() -> SAC:
    """Compiled once for this file; its fresh state is restored by each test."""
    return agent_of(compile=True)


@needs_compiler
def test_compiled_float32_equals_eager(fast: SAC) -> None:
    """After 6 critic updates; Adam's first moment is the mean of the gradients."""
    eager = agent_of(compile=False)
    fast.load_state(eager.state())
    metrics, state = after(fast, 3)
    eager_metrics, eager_state = after(eager, 3)
    for name, value in eager_metrics.items():
        assert metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
    for name, array in eager_state.items():
        if array.dtype == np.float32:
            assert relative(state[name], array) < 2e-3, name


@needs_compiler
def test_compiled_resume_is_bit_equal(fast: SAC) -> None:
    fast.load_state(agent_of(compile=False).state())
    after(fast, 2)
    saved = fast.state()
    _, ours = after(fast, 2)
    fast.load_state(saved)
    _, theirs = after(fast, 2)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.mark.parametrize(
    "compile", [False, pytest.param(True, marks=[needs_compiler, pytest.mark.slow])]
)
def test_bfloat16_follows_float32(compile: bool) -> None:
    """bf16 has 8 bits of mantissa: 2^-8 = .4 % a rounding, a few of them in a row."""
    metrics, state = after(agent_of(compile=compile, precision="bfloat16"), 3)
    exact_metrics, exact = after(agent_of(compile=False), 3)
    for name in ("critic_loss", "td_error", "critic_grad_norm", "entropy"):
        assert metrics[name] == pytest.approx(exact_metrics[name], rel=0.03, abs=0.01), name
    for name, array in exact.items():
        if ".mean." in name and array.size > 8:
            assert relative(state[name], array) < 0.1, name
        elif name.startswith(("critic.w", "target.w", "actor.w")):
            assert relative(state[name], array) < 0.01, name
    assert state["critic.w0"].dtype == np.float32


def test_bfloat16_gradient_points_the_same_way() -> None:
    exact, rough = agent_of(compile=False), agent_of(compile=False, precision="bfloat16")
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(ROWS, 8, generator=generator), torch.randn(ROWS, generator=generator)
    one, two = (
        torch.func.grad(agent.losses.critic_loss, has_aux=True)(agent.critic.value, x, y)[0]
        for agent in (exact, rough)
    )
    assert float(torch.cosine_similarity(one, two, dim=0)) > 0.995


def test_a_missing_or_broken_compiler_means_eager_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def double(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x * 2,)

    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler") as caught:
        assert compiled(double, (torch.zeros(3),)) is double
    assert len(caught) == 1
    monkeypatch.setenv("CXX", "g++")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agent_of(compile=False)


@needs_compiler
@pytest.mark.slow
def test_compiled_gripper_head_and_image_agent_equal_eager() -> None:
    camera = ArraySpec("wrist", (32, 32, 3), "uint8", 0, 255)
    seeing = replace(SPEC, observation=(*SPEC.observation, camera))
    sizes: dict[str, Any] = {"hidden": (32, 32), "batch_size": ROWS, "utd": 1, "features": 8}
    agents = [
        ImageSAC(seeing, seed=3, compile=compile, discrete_gripper=True, final_scale=1.0, **sizes)
        for compile in (True, False)
    ]
    for agent in agents:  # one update: Adam's first steps amplify rounding where gradients vanish
        agent.update(make_batch(ROWS, spec=seeing))
    fast, eager = (agent.state() for agent in agents)
    gradients = [name for name in eager if ".mean." in name]
    assert {name.partition(".")[0] for name in gradients} == {
        "critic", "actor", "gripper", "encoder", "log_temperature",
    }  # fmt: skip
    for name in gradients:
        assert relative(fast[name], eager[name]) < 1e-3, name
