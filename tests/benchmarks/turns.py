"""Ours and the peers, turn by turn, and what machine they ran on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from companion import Companion
from peers import PeerKind, ask

Measure = Callable[[], dict[str, Any]]


def take_turns(
    ours: Measure, peers: Sequence[tuple[PeerKind, Companion]], *, rounds: int, quick: bool
) -> dict[str, Any]:
    """Medians over the rounds of ours and, under `peers`, of each peer with its versions."""
    own, others = [], {kind.name: list[dict[str, Any]]() for kind, _ in peers}
    for _ in range(rounds):
        own.append(ours())
        for kind, companion in peers:
            others[kind.name].append(ask(kind, companion, quick=quick))
    found = {
        kind.name: medians(others[kind.name]) | {"versions": companion.versions}
        for kind, companion in peers
    }
    return medians(own) | {"rounds": rounds, "peers": found}


def medians(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Key by key, within dictionaries too; what is no number is taken from the first result."""
    merged: dict[str, Any] = {}
    for key, first in results[0].items():
        values = [result[key] for result in results]
        if isinstance(first, dict):
            merged[key] = medians(values)
        elif isinstance(first, int | float) and not isinstance(first, bool):
            merged[key] = statistics.median(values)
        else:
            merged[key] = first
    return merged


def machine() -> dict[str, Any]:
    """Processor, cores, load averages, threads of torch's pool, versions, date (UTC)."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def processor() -> str:
    """The model that /proc/cpuinfo names."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
