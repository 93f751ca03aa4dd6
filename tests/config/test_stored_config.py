"""A run's config.yaml: ours come back equal, a stranger's cannot ask for more than it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from robot_rl.config import load_config
from robot_rl.errors import ConfigError
from robot_rl.stored_config import MAX_BYTES, read_config, save_config


@pytest.mark.parametrize("overrides", [[], ["agent=sac", "task=reach"], ["agent=rlpd_image"]])
def test_our_configs_come_back_equal(overrides: list[str], tmp_path: Path) -> None:
    cfg = load_config(overrides)
    save_config(cfg, tmp_path / "config.yaml")
    back, text = read_config(tmp_path / "config.yaml")
    assert back == cfg
    assert OmegaConf.to_container(back, resolve=True) == OmegaConf.to_container(cfg, resolve=True)
    assert "hidden: ${..learner.hidden}" in text, (
        "what follows another value still does in a resumed run"
    )


def test_resolvers_are_resolved_before_they_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBOT", "192.168.0.2")
    raw = {"robot": {"host": "${oc.env:ROBOT}", "ports": ["${a}", 2]}, "a": 1, "b": "${robot}"}
    save_config(OmegaConf.create(raw), tmp_path / "config.yaml")
    robot = {"host": "192.168.0.2", "ports": [1, 2]}
    assert read_config(tmp_path / "config.yaml")[0] == {"robot": robot, "a": 1, "b": robot}


def _chain(line: str) -> str:
    letters = "abcdefghijklmnopqrst"
    return "".join(line.format(a=a, b=chr(ord(a) + 1)) for a in letters) + "u: {x: 1}\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &x [1]\nb: *x\n", "line 1: YAML anchors and aliases are not read"),
        ("a: !!python/name:os.system\n", "the YAML tag tag:yaml.org,2002:python/name:os.system"),
        ("a: ${oc.env:HOME}\n", r"'\$\{oc.env:HOME\}'; valid: values, or references"),
        (_chain("{a}: ${{{b}}}${{{b}}}\n"), "valid: values, or references"),
        (_chain("{a}:\n  x: ${{{b}}}\n  y: ${{{b}}}\n"), "refers to a mapping"),
        (_chain("{a}: ['${{{b}}}', '${{{b}}}']\n"), "valid: values, or references"),
        ("a: ${b}\nb: ${a}\n", "config.yaml"),
        ("a: " + "[" * 3000, "nested more than 16 deep"),
        ("- 1\n", "not a mapping"),
        ("a: [1\n", "config.yaml: while parsing"),
        ("a: 1\n" * MAX_BYTES, f"larger than {MAX_BYTES} bytes"),
    ],
)
def test_what_asks_for_more_than_it_holds_is_refused(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=why):
        read_config(tmp_path / "config.yaml")


def test_numbers_are_read_as_omegaconf_reads_them(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 3e-4\nb: 1.0e-05\nc: -2E3\nd: 1e3x\ne: 0.5\n")
    values = {"a": 3e-4, "b": 1e-5, "c": -2000.0, "d": "1e3x", "e": 0.5}
    assert read_config(tmp_path / "config.yaml")[0] == values
