"""Fuzzes decoders: python tests/fuzz/fuzz.py TARGET|all [--seconds N] [--inputs N]

Each target runs in a process of its own, over a corpus that later runs go on with. What breaks a
promise (guard.py) is kept beside the corpus, and the exit code is 1. Figures are appended to a
JSON file with --results. `pip install robot-rl[fuzz]` makes the search coverage-guided.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = ("robot_rl.wire", "robot_rl.data", "robot_rl.runtime", "robot_rl.report")
STATS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0; 1 when an input broke a promise; 2 for bad arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="a target's name, or all")
    parser.add_argument("--seconds", type=int, default=0, help="of each target")
    parser.add_argument("--inputs", type=int, default=0, help="of each target")
    parser.add_argument("--seed", type=int, default=int(time.time()) & 0xFFFF)
    parser.add_argument(
        "--corpus", type=Path, default=HERE / "corpus", help="goes on from run to run"
    )
    parser.add_argument("--results", type=Path, default=None, help="JSON file to append to")
    parser.add_argument("--role", choices=("all", "hunt", "replay"), default="all")
    options = parser.parse_args(arguments)
    if not options.seconds and not options.inputs:
        options.seconds = 60
    with _instrumented(options.role == "hunt"):
        names = importlib.import_module("targets").TARGETS
    if options.target not in (*names, "all"):
        parser.error(f"no target '{options.target}'; valid: all, {', '.join(names)}")
    if options.role == "hunt":
        engine = importlib.import_module("engine")
        engine.hunt(
            names[options.target],
            options.corpus / options.target,
            seconds=options.seconds,
            inputs=options.inputs,
            seed=options.seed,
        )
        return 0
    if options.role == "replay":
        print(
            json.dumps(
                importlib.import_module("replay").replay(names[options.target], options.corpus)
            )
        )
        return 0
    chosen = list(names) if options.target == "all" else [options.target]
    results = [_campaign(name, options) for name in chosen]
    return int(any(result["findings"] for result in results))


def _instrumented(wanted: bool) -> contextlib.AbstractContextManager[object]:
    """Counts coverage in our own modules while they are imported, where atheris is installed."""
    if not wanted:
        return contextlib.nullcontext()
    try:
        import atheris  # type: ignore[import-not-found]
    except ImportError:
        return contextlib.nullcontext()
    manager: contextlib.AbstractContextManager[object] = atheris.instrument_imports(
        include=["robot_rl"]
    )
    return manager


def _campaign(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One target: hunt, replay of the corpus, figures printed and kept."""
    folder = options.corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hunt.json").unlink(missing_ok=True)
    with (folder / "engine.log").open("wb") as log:
        hunt = subprocess.run(_command(name, options, "hunt"), stderr=log, stdout=log, check=False)
    text = (folder / "engine.log").read_text(errors="replace")
    found: dict[str, Any] = {"findings": {}, "inputs": 0, "target": name}
    if (folder / "hunt.json").exists():
        found = json.loads((folder / "hunt.json").read_text())
    if hunt.returncode:
        found["findings"][f"the process ended with {hunt.returncode}"] = "engine.log"
    if exact := re.search(r"stat::number_of_executed_units: (\d+)", text):
        found["inputs"] = int(exact.group(1))
    if stats := STATS.findall(text):
        found["edges"], found["features"] = int(stats[-1][0]), int(stats[-1][1])
    if done := re.search(r"Done \d+ runs in (\d+) second", text):
        found["seconds"] = int(done.group(1))
    found["inputs_per_s"] = round(found["inputs"] / max(0.1, found.get("seconds", 0.1)))
    replay = subprocess.run(
        _command(name, options, "replay"), capture_output=True, text=True, check=False
    )
    if replay.returncode:
        found["findings"]["the replay failed"] = replay.stderr[-500:]
    else:
        again = json.loads(replay.stdout.splitlines()[-1])
        found["findings"] |= again.pop("findings")
        found["peak_bytes"] = max(found.get("peak_bytes", 0), again.pop("peak_bytes"))
        found |= again
    found |= {"when": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
    print(json.dumps(found), flush=True)
    if options.results is not None:
        _append(options.results, found)
    return found


def _command(name: str, options: argparse.Namespace, role: str) -> list[str]:
    numbers = [f"--seconds={options.seconds}", f"--inputs={options.inputs}"]
    places = [f"--corpus={options.corpus}", f"--seed={options.seed}"]
    return [sys.executable, str(HERE / "fuzz.py"), name, *numbers, *places, f"--role={role}"]


def _append(path: Path, found: dict[str, Any]) -> None:
    """One run per target and line, so that figures of several sessions add up."""
    runs = json.loads(path.read_text()) if path.exists() else []
    lines = ",\n".join(json.dumps(run) for run in [*runs, found])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    sys.exit(main())
