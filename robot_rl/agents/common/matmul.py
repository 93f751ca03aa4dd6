"""float32 matrix products through oneDNN where that keeps float32.

torch's float32 products run in MKL, which on AMD processors reaches half of what oneDNN does on the
same core (measured: 102 against 216 GFLOP/s). torch hands them to oneDNN when it may use bfloat16
inside; processors without matrix tiles (AMX) then compute in float32 all the same, faster. Whether
this one does is measured once, on a product.
"""

from __future__ import annotations

import torch

SHAPES = ((256, 256, 256), (256, 47, 256), (47, 256, 256), (256, 256, 14), (2, 256, 47, 256))
"""Products of an update's kind: (rows, inner, columns), batched where there are four."""
TOLERANCE = 1e-5
"""Relative error that float32 keeps with room to spare; products in bfloat16 have about 3e-3."""


def use_fast_float32() -> bool:
    """Lets oneDNN compute this process's float32 products if they stay float32; True if so."""
    settings = getattr(torch.backends.mkldnn, "matmul", None)
    if settings is None or not torch.backends.mkldnn.is_available():
        return False
    before = settings.fp32_precision
    settings.fp32_precision = "bf16"
    if relative_error() <= TOLERANCE:
        return True
    settings.fp32_precision = before
    return False


def relative_error() -> float:
    """Largest error of float32 products of this process against float64, as a ratio of norms."""
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for *lead, rows, inner, columns in SHAPES:
        a = torch.randn(*lead, rows, inner, generator=generator)
        b = torch.randn(*lead, inner, columns, generator=generator)
        exact = a.double() @ b.double()
        worst = max(worst, float(((a @ b).double() - exact).norm() / exact.norm()))
    return worst
