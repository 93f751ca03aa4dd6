"""A wheel in a clean environment runs from another directory, with a user's own task and robot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("robot_rl", "envs", "drivers", "configs")

TASK = '''
from robot_rl.envs.tasks.reach import Reach


class NearReach(Reach):
    """The shipped task under another name and with a shorter limit."""

    name = "near_reach"

    def __init__(self, max_steps: int = 7) -> None:
        super().__init__(max_steps=max_steps)
'''

ROBOT = '''
from robot_rl.drivers.mujoco import fr3


def make(cameras=(), real_time=False):
    """The shipped twin, as a user's own robot would be."""
    return fr3.make(cameras=cameras, real_time=real_time)
'''

CHECK = """
import gymnasium, json, robot_rl
env = gymnasium.make("robot_rl/Reach-v0")
obs, _ = env.reset(seed=0)
print(json.dumps({"file": robot_rl.__file__, "state": len(obs["state"])}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel, and only borrows its dependencies."""
    base = tmp_path_factory.mktemp("wheel")
    source = base / "source"
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(base), str(source)], check=True, cwd=base)
    (wheel,) = base.glob("robot_rl-*.whl")
    home = base / "venv"
    venv.create(home, with_pip=False)
    target = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (target / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = home / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", wheel],
        check=True,
        cwd=base,
    )
    return home / "bin"


def run(arguments: list[str | Path], folder: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_elsewhere(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run([installed / "python", "-c", CHECK], tmp_path))
    assert str(ROOT) not in found["file"]
    assert found["state"] > 0
    assert "train" in run([installed / "robot-rl", "--help"], tmp_path)


def test_a_users_package_adds_a_task_and_a_robot(installed: Path, tmp_path: Path) -> None:
    package = tmp_path / "my_lab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "near_reach.py").write_text(TASK)
    (package / "my_arm.py").write_text(ROBOT)
    configs = tmp_path / "my_configs"
    (configs / "task").mkdir(parents=True)
    (configs / "robot").mkdir()
    (configs / "task" / "near_reach.yaml").write_text("_target_: my_lab.near_reach.NearReach\n")
    (configs / "robot" / "my_arm.yaml").write_text("_target_: my_lab.my_arm.make\n")
    record = ["record", "--json", "--out", "demos", "--episodes", "2", "--keep-failures"]
    choices = ["--config-dir", str(configs), "task=near_reach", "robot=my_arm"]
    written = json.loads(
        run([installed / "robot-rl", *record, *choices], tmp_path, PYTHONPATH=str(tmp_path))
    )
    assert written["episodes"] == 2
    info = json.loads(run([installed / "robot-rl", "dataset", "--json", "info", "demos"], tmp_path))
    assert info["episodes"] == 2
