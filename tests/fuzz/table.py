"""The table of docs/reliability.md from kept figures: python tests/fuzz/table.py RESULTS.json"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def table(runs: list[dict[str, Any]]) -> Iterator[str]:
    """One row a target: inputs of all runs together, the best coverage, the worst cost."""
    yield "| target | inputs | edges | lines | slowest, ms | most memory |"
    yield "|---|---|---|---|---|---|"
    total = 0
    for name in dict.fromkeys(run["target"] for run in runs):
        mine = [run for run in runs if run["target"] == name]
        inputs = sum(run["inputs"] for run in mine)
        total += inputs
        edges = max(run.get("edges", 0) for run in mine)
        best = max(mine, key=lambda run: (run.get("lines", 0), -run.get("of_lines", 0)))
        lines = f"{best['lines']} of {best['of_lines']}" if "lines" in best else ""
        slowest = max(run.get("slowest_ms", 0.0) for run in mine)
        peak = max(run.get("peak_bytes", 0) for run in mine) / 1024
        yield f"| {name} | {inputs:,} | {edges} | {lines} | {slowest:.2f} | {peak:,.0f} KiB |"
    yield f"| together | {total:,} | | | | |"


if __name__ == "__main__":
    print("\n".join(table(json.loads(Path(sys.argv[1]).read_text()))))
