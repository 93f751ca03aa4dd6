"""The learner's bound is counted right, and the companions of the loop do their work."""

from __future__ import annotations

import sys

import pytest
import torch
from areas.busy import random_batch
from areas.learner import BATCH, flops_per_update, matrix_rate, onednn
from companion import HERE, Companion
from torch.utils.flop_counter import FlopCounterMode

from robot_rl.agents.sac.agent import SAC
from robot_rl.testing.wire_harness import small_spec


@pytest.mark.parametrize("critics", [2, 10])
def test_the_products_of_an_update_are_counted(critics: int) -> None:
    utd, spec = 4, small_spec()
    agent = SAC(spec, seed=0, compile=False, batch_size=BATCH, utd=utd, critics=critics)
    batch = random_batch(spec, utd * BATCH)
    agent.update(batch)
    with FlopCounterMode(display=False) as counter:
        agent.update(batch)
    counted = counter.get_total_flops() / utd
    # eager autograd also takes the gradient of the first layer's input, which the compiler drops
    assert counted == pytest.approx(flops_per_update(critics, utd), rel=0.05)


def test_onednn_and_mm_give_the_same_product() -> None:
    a, b = torch.randn(2, 64, 64).unbind()
    torch.testing.assert_close(onednn(a, b), a @ b.mT, rtol=1e-4, atol=1e-4)
    assert matrix_rate(torch.mm, torch.float32, seconds=0.01) > 0


def test_the_busy_learner_updates_while_asked_to() -> None:
    with Companion(
        "learner", [sys.executable, str(HERE / "areas" / "busy.py"), "--eager"]
    ) as learner:
        assert learner.measure(seconds=0.2)["critic_updates_per_s"] > 0
