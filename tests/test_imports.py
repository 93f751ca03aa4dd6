"""The house's import rules, read from the source (docs/architecture.md, "Who may import whom")."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TORCH = {"torch", "torchvision"}
JOINERS = {"robot_rl.cli", "robot_rl.factory", "robot_rl.commands"}
LEARNING = {"robot_rl.agents", "robot_rl.networks", "robot_rl.runtime", "robot_rl.ingest"}
RUNNING = {f"robot_rl.{room}" for room in ("rollout", "metrics", "report", "rewards", "bench")}
ENVS, DRIVERS, WIRE, DATA = (f"robot_rl.{room}" for room in ("envs", "drivers", "wire", "data"))

RULES: dict[str, set[str]] = {
    "drivers": {ENVS, DATA, "robot_rl.testing"} | LEARNING | RUNNING | TORCH,
    "envs": {DRIVERS, WIRE, DATA, "robot_rl.testing"} | LEARNING | RUNNING | TORCH,
    "robot_rl/agents": {ENVS, DRIVERS, WIRE, "robot_rl.runtime", "robot_rl.ingest"} | RUNNING,
    "robot_rl/networks": {ENVS, DRIVERS, WIRE, "robot_rl.runtime", "robot_rl.ingest"} | RUNNING,
    "robot_rl/rewards": {ENVS, DRIVERS, WIRE, "robot_rl.runtime", "robot_rl.ingest"},
    "robot_rl/wire": {ENVS, DRIVERS, DATA} | LEARNING | RUNNING | TORCH,
    "robot_rl/data": {ENVS, DRIVERS} | LEARNING | RUNNING | TORCH,
    "robot_rl/rollout": {ENVS, DRIVERS, "robot_rl.metrics", "robot_rl.report"} | LEARNING | TORCH,
    "robot_rl/ingest": {ENVS, DRIVERS} | RUNNING | TORCH | LEARNING - {"robot_rl.ingest"},
    "robot_rl/runtime": {ENVS, DRIVERS, "robot_rl.report"} | TORCH,
    "robot_rl/metrics": {ENVS, DRIVERS, WIRE, DATA, "robot_rl.rollout"} | LEARNING | TORCH,
    "robot_rl/report": {ENVS, DRIVERS, WIRE, DATA, "robot_rl.rollout"} | LEARNING | TORCH,
    "robot_rl/console": {ENVS, DRIVERS, DATA} | LEARNING | TORCH,
    "robot_rl/bench": {ENVS, DRIVERS},
    "robot_rl/testing": {ENVS, DRIVERS},
    "robot_rl": {ENVS, DRIVERS, "lerobot", "jax", "rospy", "pickle", "dill", "cloudpickle"},
}


def imported(path: Path) -> set[str]:
    """Absolute names of everything a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def violations(folder: str, banned: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in sorted(imported(path))
        if any(within(name, package) for package in banned)
    ]


@pytest.mark.parametrize("folder", sorted(RULES))
def test_rooms_keep_their_walls(folder: str) -> None:
    assert sources(folder), f"{folder} has no source"
    assert violations(folder, RULES[folder]) == []


def test_only_wire_imports_zmq() -> None:
    files = [p for f in ("robot_rl", "envs", "drivers") for p in sources(f)]
    users = {p for p in files if any(within(name, "zmq") for name in imported(p))}
    assert users
    assert all(p.is_relative_to(ROOT / "robot_rl" / "wire") for p in users), users


def test_only_agents_speak_to_other_learners() -> None:
    """torch.distributed, in whatever room."""
    files = [p for f in ("robot_rl", "envs", "drivers") for p in sources(f)]
    users = {p for p in files if any(within(name, "torch.distributed") for name in imported(p))}
    assert all(p.is_relative_to(ROOT / "robot_rl" / "agents") for p in users), users


def rooms(files: dict[str, set[str]]) -> TopologicalSorter[str]:
    """Of modules and what each imports: which room needs which. A file beside the rooms is one."""
    needs: TopologicalSorter[str] = TopologicalSorter()
    for module, names in files.items():
        room = ".".join(module.split(".")[:2])
        others = {".".join(name.split(".")[:2]) for name in names if within(name, "robot_rl")}
        needs.add(room, *(others - {room, "robot_rl"}))
    return needs


def modules() -> dict[str, set[str]]:
    found = {}
    for folder in ("robot_rl", "envs", "drivers", "configs"):
        for path in sources(folder):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name if folder == "robot_rl" else f"robot_rl.{name}"] = imported(path)
    return found


def test_rooms_import_each_other_in_no_circle() -> None:
    assert len(modules()) > 200
    rooms(modules()).prepare()


def test_a_planted_circle_is_found() -> None:
    found = modules()
    found["robot_rl.wire.record"] = found["robot_rl.wire.record"] | {"robot_rl.rollout.plans"}
    with pytest.raises(CycleError, match=r"robot_rl\.(wire|rollout)"):
        rooms(found).prepare()


def test_nothing_imports_the_joiners() -> None:
    allowed = {ROOT / "robot_rl/cli.py", ROOT / "robot_rl/factory.py"}
    for folder in ("robot_rl", "envs", "drivers"):
        for path in sources(folder):
            if path in allowed or path.is_relative_to(ROOT / "robot_rl" / "commands"):
                continue
            bad = [n for n in imported(path) for joiner in JOINERS if within(n, joiner)]
            assert not bad, f"{path.relative_to(ROOT)} imports {bad}"


def test_the_check_sees_a_violation(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(
        "def f():\n    from robot_rl.drivers.mujoco import world\n    import torch.nn\n"
    )
    found = imported(file)
    assert any(within(name, DRIVERS) for name in found)
    assert any(within(name, "torch") for name in found)
