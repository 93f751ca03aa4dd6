"""Replays a target's corpus: allocations of every input, and the lines of its modules reached."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import guard


def replay(target: guard.Target, corpus: Path) -> dict[str, Any]:
    """`peak_bytes`, `corpus`, `findings`, and with coverage.py installed `lines` of `of_lines`."""
    warnings.simplefilter("ignore")
    paths = sorted((corpus / target.name / "corpus").glob("*"))
    found: dict[str, Any] = {"corpus": len(paths), "peak_bytes": 0, "findings": {}}
    for path in paths:
        data = path.read_bytes()
        try:
            guard.run(target, data)
            found["peak_bytes"] = max(found["peak_bytes"], guard.check_memory(target, data))
        except guard.Finding as finding:
            found["findings"].setdefault(finding.key, f"corpus/{path.name}")
    return found | _lines(target, paths)


def _lines(target: guard.Target, paths: list[Path]) -> dict[str, int]:
    try:
        import coverage  # type: ignore[import-not-found]
    except ImportError:
        return {}
    files = [str(importlib.import_module(name).__file__) for name in target.modules]
    count = coverage.Coverage(include=files, data_file=None)
    imported = _lines_of_definitions(files)
    count.start()
    for path in paths:
        try:
            guard.run(target, path.read_bytes())
        except guard.Finding as finding:
            print(finding, file=sys.stderr)
    count.stop()
    reached = total = 0
    for file in files:
        _, statements, _, missing, _ = count.analysis2(file)
        inside = set(statements) - imported[file]
        total += len(inside)
        reached += len(inside - set(missing))
    return {"lines": reached, "of_lines": total}


def _lines_of_definitions(files: list[str]) -> dict[str, set[int]]:
    """Lines outside of functions: they ran at import, before anything was counted."""
    import ast

    found = {}
    for file in files:
        tree = ast.parse(Path(file).read_text())
        inner: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                inner |= set(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
        found[file] = set(range(1, len(Path(file).read_text().splitlines()) + 1)) - inner
    return found
