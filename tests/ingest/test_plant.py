"""A mixed fleet: another plant is taken, said once and shown; another interface is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_rl.commands.watch import show
from robot_rl.testing.wire_harness import WireHarness, wait_for, write_episode


def test_an_actor_with_another_plant_feeds_the_same_learner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with WireHarness(tmp_path) as wire:
        ours = replace(wire.spec, gains=(("stiffness", 2000.0),), plant=(("serial", "1"),))
        wire.spec = ours
        wire.start_ingest()
        for name, gain in (("a", 2000.0), ("b", 500.0)):
            wire.spec = replace(ours, gains=(("stiffness", gain),))
            wire.start_io(name)
            write_episode(wire.link(name, 1), wire.spec, np.random.default_rng(0), 10)
            assert len(wire.wait_logged(name, 1, 11)) == 11
        line = "gains stiffness: 2000.0 != 500.0"
        stats = wire.learner().wait_connected(20)
        assert {actor.actor: actor.plant for actor in stats.actors} == {"a": [], "b": [line]}
        show(stats, as_json=False)
        assert f"another plant than the log's: {line}" in capsys.readouterr().out
        said = (
            f"actor 'b' has another plant than the log (log != actor), taken all the same: {line}"
        )
        assert wire.output("ingest").count(said) == 1
        wire.spec = replace(ours, rate_hz=20.0)
        process = wire.start_io("c")
        link = wire.link("c", 1)
        assert process.wait(20) == 2
        wait_for("the refusal", lambda: "rate_hz: 10.0 != 20.0" in link.refusal())
