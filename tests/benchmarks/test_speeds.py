"""The script runs every area for a moment and gives its figures; its errors are readable."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from companion import HERE, ROOT, Companion
from figures import Figure, figures_of
from peers import PEERS, check_interpreter
from speeds import AREAS, aim, main, number
from turns import machine, medians

from robot_rl.errors import ConfigError

SLOW = {"fleet": [pytest.mark.slow]}


@pytest.mark.parametrize("area", [pytest.param(a, marks=SLOW.get(a, [])) for a in sorted(AREAS)])
def test_every_area_runs_and_gives_its_figures(
    area: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([area, "--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["quick"] is True
    assert {"processor", "cores", "load_average", "date", "torch_threads"} <= set(result["machine"])
    assert set(result["results"]) == {area}
    assert result["figures"]
    for figure in result["figures"]:
        assert figure["area"] == area
        assert math.isfinite(figure["value"])
        assert figure["value"] > 0
        assert set(figure["ratios"]) == set(figure["peers"])


def test_the_table_has_a_line_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if "MLP 256x256, p50" in line)
    assert "<= 60" in line
    assert "torch eager" in line
    assert any("processor" in line and "load_average" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["polcy"], ["no benchmark 'polcy'", "did you mean 'policy'?", "transport"]),
        (["policy", "--rounds", "0"], ["--rounds 0", "valid: 1 or more"]),
        (["policy", "--peer-python", "/no/such"], ["--peer-python '/no/such'", "valid:"]),
        (["policy", "--peer-python", "/bin/true"], ["does not run Python"]),
    ],
)
def test_bad_input_ends_in_one_readable_line(arguments: list[str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        main(arguments)
    assert all(word in str(caught.value) for word in words), caught.value


def test_peers_have_scripts_and_known_areas() -> None:
    for kind in PEERS:
        assert (HERE / kind.script).is_file()
        assert kind.area in AREAS
    for area in AREAS:
        names = [kind.name for kind in PEERS if kind.area == area]
        assert len(names) == len(set(names))


def test_a_companion_answers_and_a_dead_one_is_named(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        "from answering import answer\n"
        "def measure(n):\n"
        "    print('noise on standard output')\n"
        "    return {'half': n / (n - 3)}\n"
        "answer({'peer': '1'}, measure)\n"
    )
    with Companion("peer", [sys.executable, str(script)]) as peer:
        assert peer.versions == {"peer": "1"}
        assert peer.measure(n=6) == {"half": 2.0}
        with pytest.raises(ConfigError, match=r"'peer' ended with code 1: .*ZeroDivisionError"):
            peer.measure(n=3)
        with pytest.raises(ConfigError, match="'peer' ended"):
            peer.measure(n=6)


def test_an_interpreter_is_checked() -> None:
    assert check_interpreter(sys.executable) == sys.executable
    assert (ROOT / "robot_rl").is_dir()


def test_medians_go_into_dictionaries_and_keep_words() -> None:
    rounds = [{"a": 1.0, "in": {"b": value}, "word": "x", "list": [1]} for value in (5.0, 1.0, 2.0)]
    assert medians(rounds) == {"a": 1.0, "in": {"b": 2.0}, "word": "x", "list": [1]}


def test_a_figure_says_what_was_reached() -> None:
    rate = Figure("env", "steps", 600.0, "1/s", least=500, peers={"other": 200.0})
    assert rate.reached is True
    assert rate.ratios == {"other": 3.0}
    delay = Figure("policy", "p50", 80.0, "µs", most=60, peers={"other": 160.0}, inverted=True)
    assert delay.reached is False
    assert delay.ratios == {"other": 2.0}
    assert Figure("loop", "late", 1.0, "µs").reached is None
    beside = Figure("learner", "float32", 95.0, "1/s", peers={"jax": 100.0}, least_ratio=0.9)
    assert beside.reached is True
    assert replace(beside, peers={"jax": 100.0, "faster": 110.0}).reached is False
    assert aim(beside) == "ratio >= 0.9"
    assert (aim(rate), aim(delay)) == (">= 500", "<= 60")
    assert [number(value) for value in (12345.6, 12.34, 0.567)] == ["12,346", "12.3", "0.57"]


def test_figures_of_nothing_is_nothing() -> None:
    assert figures_of({}) == []
    assert machine()["cores"] >= 1
