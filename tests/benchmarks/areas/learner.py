"""Critic updates a second of SAC/RLPD on one thread, beside the machine's matrix bound.

Observation 40, action 7, batch 256, LayerNorm critics 2 x 256; one block is UTD critic updates and
one actor and temperature update, from NumPy rows to changed parameters. Replay is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from turns import medians

from areas.busy import random_batch
from robot_rl.agents.sac.agent import SAC
from robot_rl.testing.wire_harness import small_spec

BATCH, HIDDEN = 256, 256
BOUND_SIDES = (256, 1024)
"""Of the square matrices that the machine's rate is measured with."""
PRECISIONS: tuple[Literal["float32"], Literal["bfloat16"]] = ("float32", "bfloat16")


def run(*, repeats: int = 5, **settings: Any) -> dict[str, Any]:
    """Medians of `repeats` rounds of a `LearnerBench(**settings)`."""
    bench = LearnerBench(**settings)
    return medians([bench.round() for _ in range(repeats)])


class LearnerBench:
    """Agents of each size and precision, compiled once; `round` gives each its turn."""

    def __init__(
        self,
        *,
        critics: Sequence[int] = (2, 10),
        utd: int = 20,
        updates: int = 600,
        compile: bool = True,
    ) -> None:
        """updates: critic updates of each agent in a round, two critics; fewer where more critics
        make them slower. compile=False measures eager updates."""
        self._spec, self._utd, self._updates = small_spec(), utd, updates
        self._batch = random_batch(self._spec, utd * BATCH)
        self._agents = {
            (count, precision): SAC(
                self._spec,
                seed=0,
                compile=compile,
                threads=1,
                precision=precision,
                batch_size=BATCH,
                utd=utd,
                critics=count,
                hidden=(HIDDEN, HIDDEN),
            )
            for count in critics
            for precision in PRECISIONS
        }
        for agent in self._agents.values():
            agent.update(self._batch)

    def round(self) -> dict[str, Any]:
        """{"critics_2": {"float32": updates/s, "bfloat16": …, "bound": …, "mm_bound": …}, …,
        "gflops": {"mm": …, "best": …, "bfloat16": …}}.

        `bound` is what float32 would do if only its matrix products took time, at the best rate
        found on this machine; `mm_bound` the same at the rate of `torch.mm`.
        """
        mm, best = matrix_rate(torch.mm, torch.float32), matrix_rate(onednn, torch.float32)
        rates = {"mm": mm, "best": max(mm, best)}
        rates["bfloat16"] = matrix_rate(torch.mm, torch.bfloat16)
        result: dict[str, Any] = {"utd": self._utd, "gflops": rates}
        for (count, precision), agent in self._agents.items():
            entry = result.setdefault(f"critics_{count}", {})
            entry[precision] = self._rate(agent, max(1, self._updates * 2 // count // self._utd))
        for count in {count for count, _ in self._agents}:
            entry, work = result[f"critics_{count}"], flops_per_update(count, self._utd)
            entry["bound"], entry["mm_bound"] = rates["best"] * 1e9 / work, rates["mm"] * 1e9 / work
        return result

    def _rate(self, agent: SAC, blocks: int) -> float:
        start = time.perf_counter()
        for _ in range(blocks):
            agent.update(self._batch)
        return blocks * self._utd / (time.perf_counter() - start)


def flops_per_update(critics: int, utd: int, *, obs: int = 40, action: int = 7) -> float:
    """Floating-point operations of the matrix products of one critic update, with its share of the
    block's actor update. A product forward costs one, backward two (one where its input needs no
    gradient)."""
    first, middle, last = (obs + action) * HIDDEN, HIDDEN * HIDDEN, HIDDEN
    critic = first + middle + last
    actor_first = obs * HIDDEN
    actor = actor_first + middle + HIDDEN * 2 * action
    update = critics * (3 * critic - first) + 2 * critic + actor
    actor_update = 3 * actor - actor_first + critics * 2 * critic
    return 2.0 * BATCH * (update + actor_update / utd)


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """a b.T by oneDNN, which on some processors has kernels twice as fast as the library of
    `torch.mm`; that one where torch has no oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return torch.mm(a, b.mT)
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return product


def matrix_rate(
    product: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype, *, seconds: float = 0.05
) -> float:
    """GFLOP/s of square products on one thread, the best call: the machine's, not ours."""
    torch.set_num_threads(1)
    best = 0.0
    for side in BOUND_SIDES:
        a = torch.randn(side, side).to(dtype)
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            product(a, a)
            best = max(best, 2.0 * side**3 / (time.perf_counter() - start) / 1e9)
    return best
