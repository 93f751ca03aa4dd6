"""What a process that learns on a CPU wants from its libraries."""

from __future__ import annotations

import torch

from robot_rl.agents.common.matmul import use_fast_float32
from robot_rl.memory import keep_heap


def tune_process(device: str, threads: int) -> None:
    """Sets torch's threads; on a CPU also its fastest float32 products and a heap that stays.

    Ten critics' activations are 26 MB an update: taken from the kernel and given back each time
    they cost 4,700 page faults, a third of the update.
    """
    torch.set_num_threads(threads)
    if device == "cpu":
        use_fast_float32()
        keep_heap()
