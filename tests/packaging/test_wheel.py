"""A wheel in a clean environment runs from another directory, with a user's own task and robot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
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


OWN = """
import json, sys
import configs, drivers, envs
import robot_rl.configs, robot_rl.drivers.safe_robot, robot_rl.envs.robot_env
own = [m.WHOSE for m in (configs, drivers, envs)]
ours = [sys.modules[f"robot_rl.{m.__name__}"].__file__ or "" for m in (drivers, envs)]
print(json.dumps({"own": own, "ours": ours}))
"""

TYPED = """
from robot_rl.envs.tasks.reach import Reach

task = Reach(max_steps="seven")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of what a build takes, relative links as they are."""
    folder = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def environment(home: Path, *what: str | Path) -> Path:
    """The bin folder of a new environment that only borrows its dependencies, with `pip install
    <what>`."""
    venv.create(home, with_pip=False)
    target = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (target / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = ["--python", str(home / "bin" / "python")]
    options = ["install", "-q", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", *python, *options, *what]
    subprocess.run(command, check=True, cwd=home)
    return home / "bin"


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel."""
    base = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(base), str(source)], check=True, cwd=base)
    (wheel,) = base.glob("robot_rl-*.whl")
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"robot_rl"}
    return environment(base / "venv", wheel)


def clean(**variables: str) -> dict[str, str]:
    """This process's environment without its import path."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables


def run(arguments: list[str | Path], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        arguments, cwd=folder, env=clean(**variables), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_elsewhere(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run([installed / "python", "-c", CHECK], tmp_path))
    assert str(ROOT) not in found["file"]
    assert found["state"] > 0
    assert "train" in run([installed / "robot-rl", "--help"], tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder with packages of the names that ours have at the top of the repository."""
    for name in ("configs", "drivers", "envs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"WHOSE = 'my {name}'\n")
    return tmp_path


def test_a_users_own_folders_do_not_collide(installed: Path, own: Path) -> None:
    found = json.loads(run([installed / "python", "-c", OWN], own))
    assert found["own"] == ["my configs", "my drivers", "my envs"]
    assert all("site-packages/robot_rl" in file for file in found["ours"])


def test_an_editable_install_has_the_same_names(source: Path, own: Path) -> None:
    python = environment(own / "venv", "--editable", source) / "python"
    found = json.loads(run([python, "-c", OWN], own))
    assert found["own"] == ["my configs", "my drivers", "my envs"]
    assert all(file.startswith(str(source)) for file in found["ours"])


def test_a_type_checker_sees_the_wheel(installed: Path, own: Path) -> None:
    (own / "mine.py").write_text(TYPED)
    others = "numpy.*,scipy.*,mujoco.*,gymnasium.*,msgspec.*"
    (own / "mypy.ini").write_text(f"[mypy]\n[mypy-{others}]\nfollow_imports = skip\n")
    options = ["--python-executable", str(installed / "python"), "--cache-dir", str(own / "cache")]
    command = [sys.executable, "-m", "mypy", *options, "mine.py"]
    done = subprocess.run(
        command, cwd=own, env=clean(), capture_output=True, text=True, check=False, timeout=300
    )
    (error,) = [line for line in done.stdout.splitlines() if "error" in line and "mine" in line]
    assert 'Argument "max_steps" to "Reach" has incompatible type "str"' in error
    assert "import" not in done.stdout, "neither missing nor untyped"


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
