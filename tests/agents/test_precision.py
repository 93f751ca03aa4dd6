"""bfloat16 by what the processor has: the flags decide, never a measurement."""

from pathlib import Path

import pytest
from agent_batches import SPEC

from robot_rl.agents.common import precision
from robot_rl.agents.sac.agent import SAC
from robot_rl.commands.common import settle_precision
from robot_rl.config import load_config


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16", "bfloat16"),
        ("fpu amx_bf16 amx_tile", "bfloat16"),
        ("fpu avx2 avx512f", "float32"),
    ],
)
def test_the_cpus_flags_decide(
    flags: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor : 0\nmodel name : bf16 by name only\nflags\t\t: {flags}\n")
    monkeypatch.setattr(precision, "CPUINFO", file)
    agent = SAC(SPEC, seed=0, compile=False, precision="auto")
    assert agent.precision == expected
    cfg = load_config(["agent=rlpd"])
    settle_precision(cfg)
    assert cfg.agent.learner.precision == expected, "kept when the run goes on elsewhere"
    for other in ("cuda", "cuda:1"):
        assert precision.chosen_precision("auto", other) == "float32"
    explicit = load_config(["agent=rlpd", "agent.learner.precision=float32"])
    settle_precision(explicit)
    assert explicit.agent.learner.precision == "float32"


def test_a_machine_that_does_not_tell_gets_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "none")
    assert precision.chosen_precision("auto", "cpu") == "float32"
