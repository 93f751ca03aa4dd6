"""Stable-Baselines3's and cpprb's replay buffers: 256 uniform state transitions a call.

export PYTHONPATH=robot_rl/bench/peer:.
python tests/benchmarks/replay_buffers.py <<< '{"repeats": 300}'
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from answering import answer, one_core

one_core()

from robot_rl.bench.replay_peers import time_peers  # noqa: E402 (needs numpy and gymnasium only)


def measure(rows: int = 200_000, repeats: int = 300) -> dict[str, Any]:
    """Median µs a call, by peer that is installed here."""
    return time_peers(rows, 256, repeats)


def versions() -> dict[str, str]:
    found = {}
    for name in ("stable-baselines3", "cpprb"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    answer(versions(), measure)
