"""Runs a process of the product with a fault or a missing guard; for the tests alone.

    python fault_child.py <module> <argument> ... -- <options as JSON>

Nothing of this is reachable from the product: guards are taken out, processes killed at named
points and observers put in by replacing functions here, before the module's own `main` runs.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from fault_guards import disable
from fault_mangle import mangle
from fault_points import arm, observe_acknowledgements, observe_steps, observe_syncs


def main(words: list[str]) -> int:
    split = len(words) - 1 - words[::-1].index("--")
    module, arguments = words[0], words[1:split]
    options = json.loads(words[split + 1])
    if book := options.get("acknowledged"):
        observe_acknowledgements(Path(book))
    if book := options.get("steps"):
        observe_steps(Path(book))
    if folder := options.get("syncs"):
        observe_syncs(Path(folder))
    for name in options.get("without", ()):
        disable(name)
    if bad := options.get("mangle"):
        mangle(**bad)
    if kill := options.get("kill"):
        arm(kill, int(options.get("nth", 1)))
    return int(importlib.import_module(module).main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
