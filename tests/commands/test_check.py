"""What is wrong with an environment is one line with the remedy, before any process starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from odd_envs import ODD
from refusals import Refused

from robot_rl.cli import main

SHORT = ["agent=sac", "evaluation.episodes=1", "run=r"]


def odd(**kwargs: object) -> list[str]:
    """The environment with these oddities, as words of the command line."""
    return [f"env.id={ODD}", *(f"env.kwargs.{key}={value}" for key, value in kwargs.items())]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (odd(endless=True), "no time limit; valid: env.max_steps="),
        (odd(raises_at=3), "step raised KeyError: 'gripper_state'; its traceback is kept in"),
        (odd(options=True), "reset raised ValueError: options['difficulty'] is required"),
        (odd(reward="none"), "reward None; valid: a number"),
        (odd(reward="poisoned"), "reward nan; valid: finite"),
        (odd(length=4), "got shape (4,), its space says (3,)"),
        (odd(shape="[64,64,3]", dtype="float32"), "got float32 in 0"),
        (odd(exclusive=True), "opens once at a time"),
        ([*odd(), "env.max_steps=0"], "max_steps: value: expected `int` >= 1"),
        ([*odd(), "env.wrappers=[odd_envs.Halve]"], "did you mean 'Halved'"),
        ([*odd(), "env.wrappers=[{_target_: odd_envs.Halved, to: 2}]"], "raised TypeError"),
    ],
)
def test_refused_before_anything_starts(words: list[str], said: str, refused: Refused) -> None:
    assert said in refused("check", *words)
    assert said in refused("train", "env=gym", *words, *SHORT)
    assert not Path("r").exists()


@pytest.mark.parametrize(
    "words",
    [
        [*odd(endless=True), "env.max_steps=20"],
        [*odd(options=True), "env.reset_options.difficulty=hard"],
        [*odd(exclusive=True), "evaluation.episodes=0"],
        [*odd(exclusive=True), "evaluation.where=actor"],
        [*odd(), "env.wrappers=[odd_envs.Halved, {_target_: odd_envs.Halved, by: 4}]"],
    ],
)
def test_the_remedies_help(words: list[str]) -> None:
    assert main(["check", *words]) == 0


@pytest.mark.parametrize(
    ("oddity", "note"),
    [
        ({"render": "raises"}, "no video: env.id='odd_envs:odd/Odd-v0': render raised Runt"),
        ({"render": "missing"}, "no video: this environment renders no images"),
        ({"render": "none"}, "no video: render() gave None"),
        ({"render": "wild"}, "no video: render() gave float32 in 300.0"),
        ({"scale": 9.0}, "its space says -1 … 1"),
    ],
)
def test_what_is_only_odd_is_a_note(
    oddity: dict[str, object], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--json", *odd(**oddity)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["notes"]) == 1
    assert note in told["notes"][0]


def test_what_check_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", *odd()]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["observation"] == {"state": "float32[3]"}
    assert (told["time_limit"], told["success"], told["notes"]) == (None, "not judged", [])
    assert main(["check", "--json", "task=reach"]) == 0
    assert json.loads(capsys.readouterr().out)["success"] == "judged"


def test_a_kept_traceback_is_the_environments_own(refused: Refused) -> None:
    line = refused("check", *odd(raises_at=3))
    kept = Path(line.rpartition(" ")[2])
    text = kept.read_text()
    assert "odd_envs.py" in text
    assert text.strip().endswith("KeyError: 'gripper_state'")
    kept.unlink()


def test_two_actors_need_two_devices(refused: Refused) -> None:
    words = [*odd(exclusive=True), "evaluation.episodes=0", "actors=2"]
    assert "actors=2 would open it as often; valid: actors=1" in refused("check", *words)


def test_raw_pixels_never_reach_an_mlp_unsaid(refused: Refused) -> None:
    line = refused("train", "env=gym", *odd(shape="[3,64,64]"), *SHORT)
    assert "takes no images" in line
    assert "agent=rlpd_image" in line
    flat = refused("train", "env=gym", *odd(shape="[12288]"), *SHORT)
    assert "12,288 numbers in one state vector" in flat
    assert "env.wrappers" in flat
