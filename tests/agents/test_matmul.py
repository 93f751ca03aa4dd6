"""Faster float32 products stay float32, and are not taken where they would not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from robot_rl.agents.common import matmul


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.backends.mkldnn.matmul.fp32_precision
    yield
    torch.backends.mkldnn.matmul.fp32_precision = before


def test_products_stay_float32() -> None:
    matmul.use_fast_float32()
    assert matmul.relative_error() < matmul.TOLERANCE


def test_a_processor_that_rounds_keeps_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    monkeypatch.setattr(matmul, "relative_error", lambda: 3e-3)
    assert not matmul.use_fast_float32()
    assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"


def test_bfloat16_products_would_be_noticed() -> None:
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(1))
    exact = a.double() @ b.double()
    rounded = (a.bfloat16() @ b.bfloat16()).double()
    assert float((rounded - exact).norm() / exact.norm()) > 100 * matmul.TOLERANCE
