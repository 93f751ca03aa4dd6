"""Bad input at the command line: one readable error, exit code 2, nothing overwritten or lost."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl.cli import VERBS, main, parser_of


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one error line of a command that must be refused."""
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "\n".join(lines)
    return lines[-1]


@pytest.fixture(scope="module")
def reach_demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demos") / "reach"
    assert main(["record", "--json", "--out", str(out), "--episodes", "1", "task=reach"]) == 0
    return out


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of(verb).parse_args(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"robot-rl {verb}" in text
    assert "--json" in text


def test_unknown_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'train'" in refused(capsys, "trian")


def test_unknown_key_and_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'steps'" in refused(capsys, "train", "step=3")
    assert "did you mean 'pick_cube'" in refused(capsys, "train", "task=pick_cub")
    assert "max_steps" in refused(capsys, "train", "task.max_step=9", "run=r")
    assert not Path("runs").exists()
    assert not Path("r").exists()


def test_wrong_type_deep_in_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "train", "task.max_steps=many", "run=r")
    assert "max_steps" in line
    assert "int" in line
    assert not Path("r").exists()


def test_missing_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "train", "demos.path=nowhere", "run=r")
    assert "demos.path=nowhere" in line
    assert "robot-rl record" in line
    assert not Path("r").exists()


def test_the_learner_alone_misses_a_dataset_before_it_takes_a_folder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Once the folder was taken first, and the corrected command was refused by it."""
    words = ("learner", "wire=tcp", "run=r")
    assert "demos.path=nowhere: no dataset there" in refused(capsys, *words, "demos.path=nowhere")
    assert not Path("r").exists()


def test_dataset_of_another_spec(reach_demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "train", "task=pick_cube", f"demos.path={reach_demos}", "run=r")
    assert "another specification" in line
    assert "reach" in line
    assert "pick_cube" in line
    assert not Path("r").exists()


def test_record_never_overwrites(reach_demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in reach_demos.iterdir() if path.is_file()}
    line = refused(capsys, "record", "--out", str(reach_demos), "task=reach")
    assert str(reach_demos) in line
    assert before == {path: path.read_bytes() for path in reach_demos.iterdir() if path.is_file()}


def test_run_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    Path("r").mkdir()
    with Path("r/.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        line = refused(capsys, "train", "run=r")
    assert "run 'r' is in use" in line


def test_a_run_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("r").mkdir()
    Path("r/config.yaml").write_text("seed: 0\n")
    line = refused(capsys, "train", "run=r")
    assert "resume=r" in line
    assert Path("r/config.yaml").read_text() == "seed: 0\n"


def test_resume_of_nothing_and_changes_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no run" in refused(capsys, "train", "resume=nowhere")
    Path("r").mkdir()
    Path("r/config.yaml").write_text("seed: 0\n")
    assert "cannot change" in refused(capsys, "train", "resume=r", "seed=3")


def test_port_in_use(reach_demos: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = [
            "train", "task=reach", f"demos.path={reach_demos}", "steps=50", "run=r",
            f"wire.address=tcp://127.0.0.1:{port}", "console=false",
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "robot_rl.cli", *words],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "in use" in done.stderr


def test_an_open_address_is_refused(reach_demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demos = f"demos.path={reach_demos}"
    address = "wire.address=tcp://0.0.0.0:5601"
    line = refused(capsys, "train", "task=reach", demos, address, "run=r", "console=false")
    assert "0.0.0.0" in line
    assert "insecure" in line


@pytest.mark.parametrize(
    ("name", "why"),
    [("CartPole-v1", "discrete"), ("NoSuchEnv-v0", "NoSuchEnv"), ("FrozenLake-v1", "discrete")],
)
def test_gymnasium_environments_that_cannot_be_trained(
    name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "train", "env=gym", f"env.id={name}", "agent=sac", "run=r")
    assert why.lower() in line.lower()
    assert not Path("r").exists()


def test_eval_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is no run" in refused(capsys, "eval", "nowhere")


def test_dataset_info_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere" in refused(capsys, "dataset", "info", "nowhere")


def test_actor_needs_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert "where is the learner" in refused(capsys, "actor", "task=reach")


def test_learner_needs_demos_or_sac(capsys: pytest.CaptureFixture[str]) -> None:
    assert "demos.path" in refused(capsys, "learner", "run=r")


def test_an_environment_without_expert_needs_demos(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "train", "env=gym", "env.id=Pendulum-v1", "run=r")
    assert "agent=sac" in line
