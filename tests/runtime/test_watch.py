"""Two hosts' worth of commands with keys: a run over TCP, watched, paused and stopped."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from robot_rl.cli import main
from robot_rl.commands.watch import condition
from robot_rl.wire.key_files import Role
from robot_rl.wire.keys import KeyFolder
from robot_rl.wire.protocol import ActorStats, ControlKind

AGENT = ["agent=sac", "agent.learner.hidden=[16,16]", "agent.learner.compile=false"]
LEARNER = [
    "agent.replay.warmup_steps=100000",
    "agent.replay.batch_size=16",
    "steps=200000",
    "learner.credit_window=100000",
]
ENV = ["env=gym", "env.id=Pendulum-v1", "actor.wait=never"]


@pytest.fixture
def hosts(tmp_path: Path) -> dict[str, KeyFolder]:
    """A learner's, a robot's and a person's key folder; public files carried as the help says."""
    folders = {name: KeyFolder(tmp_path / f"keys-{name}") for name in ("gpu", "robot", "desk")}
    folders["gpu"].make("gpu", Role.SERVER)
    folders["robot"].make("robot", Role.ACTOR)
    folders["desk"].make("desk", Role.OPERATOR)
    folders["desk"].make("wall", Role.VIEWER)
    for source, name, target in (
        ("gpu", "gpu", "robot"),
        ("gpu", "gpu", "desk"),
        ("robot", "robot", "gpu"),
        ("desk", "desk", "gpu"),
        ("desk", "wall", "gpu"),
    ):
        text = (folders[source].path / f"{name}.key").read_text()
        (folders[target].path / f"{name}.key").write_text(text)
    return folders


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def starter(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "robot_rl.cli", *words, "console=false"]
        with (tmp_path / f"{words[0]}.txt").open("wb") as output:
            process = subprocess.Popen(command, cwd=tmp_path, stderr=output, stdout=output)
        running.append(process)
        return process

    yield starter
    for process in running:
        process.terminate()
    for process in running:
        process.wait(60)


def wait_for(what: str, condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_run_on_two_hosts_with_keys(
    tmp_path: Path,
    hosts: dict[str, KeyFolder],
    start: Callable[..., subprocess.Popen[bytes]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    keys = {name: f"wire.keys={folder.path}" for name, folder in hosts.items()}
    # 0.0.0.0 is reachable from elsewhere: allowed because of the keys, without --insecure.
    at = f"wire.address=tcp://0.0.0.0:{port}"
    start("learner", at, keys["gpu"], "run=learner", *AGENT, *LEARNER)
    actor = start("actor", f"wire.address={address}", keys["robot"], "run=actor", *AGENT, *ENV)

    def watch(*words: str, target: str = address) -> tuple[int, dict[str, object], str]:
        code = main(["watch", target, "--json", "--keys", str(hosts["desk"].path), *words])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if code == 0 else {}, printed.err.strip()

    def steps() -> int:
        return int(str(watch("--as", "wall")[1].get("steps", 0)))

    def at_home() -> dict[str, Any]:
        """On the learner's own host a person needs no key."""
        assert main(["watch", str(tmp_path / "learner"), "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    wait_for("steps", lambda: steps() > 100, 60)
    code, _, refusal = watch("--as", "wall", "--pause")
    assert code == 2
    assert "role 'viewer' (key 'wall') may not send SetControl; valid: Ask" in refusal
    assert watch("--pause")[1]["control"] == "pause"

    def still() -> bool:
        before = steps()
        time.sleep(1.0)
        return steps() == before

    wait_for("the pause", still, 60)
    paused = steps()
    assert paused % 200 == 0, "an episode of Pendulum has 200 steps, and the running one ends"
    assert actor.poll() is None
    (seen,) = at_home()["actors"]
    assert (seen["paused"], seen["resting"]) == (True, True)
    assert watch("--run")[1]["control"] == "run"
    wait_for("more steps", lambda: steps() > paused, 60)
    assert watch("--stop")[1]["control"] == "stop"
    wait_for("the actor to end", lambda: actor.poll() is not None, 60)
    assert actor.returncode == 0
    events = "".join(path.read_text() for path in (tmp_path / "actor/metrics").glob("*.jsonl"))
    assert "holds: paused by an operator" in events
    assert "ends: stopped by an operator" in events
    text = (tmp_path / "learner.txt").read_text() + (tmp_path / "actor.txt").read_text()
    assert "WARNING" not in text


@pytest.mark.parametrize(
    ("paused", "resting", "age_ms", "connected", "words"),
    [
        (True, True, 5, True, ", paused"),
        (True, False, 5, True, ", pausing: its episode runs to its end"),
        (False, False, 5, True, ", not heard to pause yet"),
        (False, False, -1, False, ", not heard to pause yet"),
        (True, True, 7000, True, ", its control loop silent for 7 s, paused"),
    ],
)
def test_what_a_person_is_told_of_a_pause(
    paused: bool, resting: bool, age_ms: int, connected: bool, words: str
) -> None:
    actor = ActorStats("a", 1, connected, 1, 1, 1, 20, age_ms, 0, 0, 1, 0, paused, resting)
    assert condition(actor, ControlKind.PAUSE) == words
    assert condition(actor, ControlKind.RUN) == words.replace(", not heard to pause yet", "")


def test_an_actor_without_its_key_listed_ends_with_the_reason(
    tmp_path: Path, hosts: dict[str, KeyFolder], start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    (hosts["gpu"].path / "robot.key").unlink()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"wire.address=tcp://127.0.0.1:{free.getsockname()[1]}"
    keys = {name: f"wire.keys={folder.path}" for name, folder in hosts.items()}
    start("learner", address, keys["gpu"], "run=learner", *AGENT, *LEARNER)
    wait_for("ingest", lambda: b"READY" in read(tmp_path / "learner/logs/ingest.log"), 60)
    actor = start("actor", address, keys["robot"], "run=actor", *AGENT, *ENV)
    assert actor.wait(60) == 2
    assert "refused key 'robot'" in (tmp_path / "actor.txt").read_text()
    log = read(tmp_path / "learner/logs/ingest.log").decode()
    assert f"key {hosts['robot'].read('robot').public} is unknown" in log


def read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["watch", "nowhere"], "is no run"),
        (["watch", "tcp://10.0.0.1:5"], "not on this host"),
        (["watch", "tcp://127.0.0.1:9", "--as", "x"], "without --keys"),
        (["watch", "tcp://127.0.0.1:9", "--keys", "nowhere"], "key folder must be there"),
        (["actor", "wire=tcp", "wire.keys=nowhere", "run=r", *ENV], "key folder must be there"),
        (["learner", "wire=tcp", "wire.key=x", "run=r", *AGENT], "without wire.keys"),
    ],
)
def test_refused_at_once(
    words: list[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert why in capsys.readouterr().err.strip().splitlines()[-1]
