"""The peers that can be installed, and where: scripts of a checkout's tests/benchmarks.

A peer runs in this interpreter's environment or in one named by `--peer-python`, in a process of
its own that answers requests (see `answering`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from companion import HERE, Companion

from robot_rl.errors import ConfigError

FIND = "import sys, importlib.util as u; sys.exit(not any(map(u.find_spec, sys.argv[1:])))"


@dataclass(frozen=True, slots=True)
class PeerKind:
    """A script that can answer where any of `modules` is installed."""

    name: str
    area: str
    script: str
    modules: tuple[str, ...]
    requests: Mapping[str, dict[str, Any]]
    """What is asked in each round, by the name of the answer."""
    quick: Mapping[str, Any]
    """What a quick run changes in each request."""


PEERS = (
    PeerKind(
        "gym_hil",
        "env",
        "gym_hil_env.py",
        ("gym_hil",),
        {"state": {"steps": 60}, "cameras": {"steps": 5, "cameras": True}},
        {"steps": 2},
    ),
    PeerKind(
        "jax_rlpd",
        "learner",
        "jax_rlpd.py",
        ("jax",),
        {"critics_2": {"critics": 2, "blocks": 20}, "critics_10": {"critics": 10, "blocks": 6}},
        {"blocks": 1},
    ),
    PeerKind(
        "stable_baselines3",
        "learner",
        "sb3_sac.py",
        ("stable_baselines3",),
        {"critics_2": {"critics": 2, "updates": 120}, "critics_10": {"critics": 10, "updates": 40}},
        {"updates": 2},
    ),
    PeerKind(
        "lerobot",
        "learner",
        "lerobot_sac.py",
        ("lerobot",),
        {"critics_2": {"critics": 2, "blocks": 6}, "critics_10": {"critics": 10, "blocks": 2}},
        {"blocks": 1},
    ),
    PeerKind(
        "stable_baselines3",
        "policy",
        "sb3_sac.py",
        ("stable_baselines3",),
        {"predict": {"policy": True}},
        {},
    ),
    PeerKind(
        "replay_buffers",
        "replay",
        "replay_buffers.py",
        ("stable_baselines3", "cpprb"),
        {"state_us": {"rows": 200_000, "repeats": 500}},
        {"rows": 2_000, "repeats": 20},
    ),
)


def check_interpreter(path: str) -> str:
    """The interpreter's path; ConfigError where it is none that runs."""
    found = shutil.which(path)
    if found is None:
        raise ConfigError(
            f"--peer-python '{path}' is no executable; valid: the path of a Python interpreter, "
            "such as /path/to/venv/bin/python"
        )
    probe = subprocess.run([found, "-c", "print(7)"], capture_output=True, text=True, check=False)
    if probe.stdout != "7\n":
        raise ConfigError(f"--peer-python '{path}' does not run Python; valid: an interpreter")
    return found


@contextmanager
def peers_of(area: str, interpreters: Sequence[str]) -> Iterator[list[tuple[PeerKind, Companion]]]:
    """The peers of an area, running; each in the first interpreter that has it."""
    with ExitStack() as stack:
        found = []
        for kind in PEERS:
            if kind.area == area and (HERE / kind.script).exists():
                for python in (sys.executable, *interpreters):
                    if _has(python, kind.modules):
                        companion = Companion(kind.name, [python, str(HERE / kind.script)])
                        found.append((kind, stack.enter_context(companion)))
                        break
        yield found


def ask(kind: PeerKind, companion: Companion, *, quick: bool) -> dict[str, Any]:
    """One round of a peer: its answers by name."""
    answers = {}
    for name, request in kind.requests.items():
        changes = {key: value for key, value in kind.quick.items() if key in request and quick}
        answers[name] = companion.measure(**(request | changes))
    return answers


def _has(python: str, modules: Sequence[str]) -> bool:
    return subprocess.run([python, "-c", FIND, *modules], check=False).returncode == 0
