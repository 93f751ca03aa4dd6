"""New kinds of algorithm are one file and one YAML: they conform, and a learner runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_batches import SPEC

from robot_rl.commands.common import schedule_of, settings_of
from robot_rl.commands.learner_process import make_sampler, resume
from robot_rl.config import load_config
from robot_rl.data.log_reader import LogReader
from robot_rl.data.log_writer import LogWriter
from robot_rl.factory import make_agent, make_policy
from robot_rl.metrics.writer import MetricsWriter
from robot_rl.runtime.feed import Feeder
from robot_rl.runtime.learner import Learner
from robot_rl.testing.check_agent import check_agent
from robot_rl.types import Source
from robot_rl.wire.record import Kind, record_dtype

FOLDER = Path(__file__).parent / "fakes"
SMALL_BC = ("agent.learner.hidden=[32]", "agent.replay.batch_size=16", "agent.learner.lr=0.001")


def config_of(agent: str, *words: str) -> Any:
    words = (*words, *(SMALL_BC if agent == "bc" else ()))
    return load_config([f"agent={agent}", "steps=60", *words], folders=[FOLDER])


@pytest.mark.parametrize("agent", ["chunk_critic", "on_policy", "bc"])
def test_they_conform(agent: str) -> None:
    cfg = config_of(agent)
    check_agent(
        lambda seed: make_agent(cfg, SPEC, seed=seed),
        lambda seed: make_policy(cfg, SPEC, seed=seed),
        SPEC,
    )


def dataset(path: Path, source: Source) -> Path:
    """60 steps in episodes of 5, every second one a success; actions follow the observation."""
    rng = np.random.default_rng(0)
    with LogWriter.create(path, SPEC) as log:
        for number in range(12):
            rows = np.zeros(6, record_dtype(SPEC))
            rows["kind"][1:], rows["human"], rows["success"] = Kind.STEP, np.nan, -1
            rows["episode"], rows["step"] = number, np.arange(6)
            rows["sequence"] = 6 * number + np.arange(6)
            rows["source"][1:] = source
            rows["obs.state"] = rng.normal(size=(6, 5))
            rows["action"][1:] = np.tanh(rows["obs.state"][:-1, :3])
            rows["reward"][-1] = rows["success"][-1] = number % 2
            rows["terminated" if number % 2 else "truncated"][-1] = 1
            log.append_records(rows, "a", 1)
    return path


def learner(cfg: Any, run_dir: Path, log: Path | None) -> Learner:
    run_dir.mkdir(exist_ok=True)
    settings, agent = settings_of(cfg), make_agent(cfg, SPEC, seed=0)
    sampler = make_sampler(settings, agent.sampling, SPEC, log=log is not None)
    return Learner(
        agent=agent,
        sampler=sampler,
        schedule=schedule_of(cfg),
        settings=settings.learner,
        metrics=MetricsWriter(run_dir, "learner", origin_s=0.0, tensorboard=False),
        rng=np.random.default_rng(1),
        run_dir=run_dir,
        agent_name="fake",
        spec_sha256=SPEC.sha256(),
        feeder=None if log is None else Feeder(LogReader(log, SPEC), sampler.replay),
    )


@pytest.mark.parametrize("agent", ["chunk_critic", "on_policy", "bc"])
def test_a_learner_runs_them_and_resumes_bit_equal(agent: str, tmp_path: Path) -> None:
    log = None
    if agent == "bc":  # demonstrations alone: no log, no link
        cfg = config_of(agent, f"demos.path={dataset(tmp_path / 'demos', Source.DEMO)}")
    else:
        cfg, log = config_of(agent), dataset(tmp_path / "log", Source.POLICY)
    whole, first = (learner(cfg, tmp_path / name, log) for name in ("whole", "parts"))
    before = whole.agent.policy_weights()
    assert whole.run(lambda: False)
    assert not first.run(lambda: first.progress.block >= 7)
    second = learner(cfg, tmp_path / "parts", log)
    assert resume(second)
    assert second.run(lambda: False)
    ours, theirs = second.agent.state(), whole.agent.state()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    after = whole.agent.policy_weights()
    assert any((before[name] != after[name]).any() for name in after)
    assert list((tmp_path / "whole/policies").glob("step-*.safetensors"))


def test_behaviour_cloning_gives_the_actions_that_were_shown(tmp_path: Path) -> None:
    cfg = config_of("bc", f"demos.path={dataset(tmp_path / 'demos', Source.DEMO)}", "steps=300")
    run = learner(cfg, tmp_path / "run", None)
    assert run.run(lambda: False)
    policy = make_policy(cfg, SPEC, seed=0)
    policy.load(run.agent.policy_weights(), 1)
    shown = run.sampler.replay.sample(50, np.random.default_rng(0), pool="demo")
    plans = [
        policy.act({"state": row}, 0, 0, deterministic=True).actions[0]
        for row in shown.obs["state"]
    ]
    assert np.abs(np.array(plans) - shown.action).mean() < 0.1
